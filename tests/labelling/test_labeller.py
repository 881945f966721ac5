"""The labelling widget without a browser: its messages are given to its message handler."""

import base64
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ialelib.labelling import view
from ialelib.labelling.labeller import Labeller
from ialelib.labelling.store import LabelStore
from ialelib.utils.errors import InputError

CLASSES = ["bag", "boot", "coat"]
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 4, 5), dtype=np.uint8)
Make = Callable[..., Labeller]


def first_free(labelled: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.setdiff1d(np.arange(len(IMAGES)), labelled)[:3]


def share(labelled: np.ndarray, labels: np.ndarray) -> float:
    return len(labelled) / len(IMAGES)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A labeller of batches of three; called again, it goes on with the same store."""

    def call(**changes: Any) -> Labeller:
        store = LabelStore(tmp_path / "labels.db", CLASSES)
        options = {"images_N": IMAGES, "classes": CLASSES, "store": store, "choose": first_free}
        return Labeller(**{**options, "batch": 3, **changes})

    return call


def send(labeller: Labeller, kind: str, step: int | None = None, **content: Any) -> dict[str, Any]:
    """What the page would send; returns what it is then shown."""
    step = step or labeller.widget.state["done"].get("page", 0) + 1
    message = {"kind": kind, "view": "page", "step": step, **content}
    labeller.widget._handle_custom_msg(message, [])
    state: dict[str, Any] = labeller.widget.state
    return state


def finish(labeller: Labeller, class_: int = 0) -> dict[str, Any]:
    for index in labeller.store.batch.tolist():
        send(labeller, "label", index=index, **{"class": class_})
    return send(labeller, "next", batch=labeller.store.number)


def shown(labeller: Labeller) -> list[int]:
    return [image["index"] for image in labeller.widget.images]


# Batch after batch


def test_a_label_is_saved_and_then_said_to_be_done(make: Make) -> None:
    labeller = make()
    state = send(labeller, "label", index=1, **{"class": 2})
    assert state["events"] == [(1, 2)]
    assert state["done"] == {"page": 1}
    assert state["messages"] == []
    assert make().store.labels.tolist() == [2]


def test_the_pair_sent_counts_whatever_the_order(make: Make) -> None:
    labeller = make()
    for index, class_ in [(2, 0), (0, 1), (1, 2)]:
        send(labeller, "label", index=index, **{"class": class_})
    assert dict(labeller.store.events) == {2: 0, 0: 1, 1: 2}


def test_steps_that_overtake_each_other_are_put_in_order(make: Make) -> None:
    labeller = make()
    send(labeller, "undo", step=3, index=0)
    state = send(labeller, "label", step=2, index=0, **{"class": 1})
    assert state["events"] == []
    assert state["done"] == {}
    send(labeller, "label", step=4, index=2, **{"class": 2})
    state = send(labeller, "label", step=1, index=1, **{"class": 0})
    assert state["events"] == [(1, 0), (2, 2)]
    assert state["done"] == {"page": 4}
    assert state["messages"] == []


def test_steps_in_several_threads_lose_nothing(make: Make) -> None:
    labeller = make(batch=12)
    pairs = [(index, index % 3) for index in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for step, (index, class_) in reversed(list(enumerate(pairs, 1))):
            pool.submit(send, labeller, "label", step, index=index, **{"class": class_})
    assert labeller.store.events == pairs
    assert labeller.widget.state["events"] == pairs
    assert labeller.failure is None


def test_every_batch_is_scored_before_the_next_is_chosen(make: Make) -> None:
    labeller = make(score=share)
    finish(labeller)
    finish(labeller)
    assert labeller.store.number == 3
    assert shown(labeller) == [6, 7, 8]
    assert labeller.store.scores["labels"].tolist() == [3, 6]
    assert labeller.store.scores["accuracy"].tolist() == [0.25, 0.5]
    assert labeller.widget.curve.count("<circle") == 2


def test_known_labels_are_passed_on_and_scored_first(make: Make) -> None:
    asked = []

    def choose(labelled: np.ndarray, labels: np.ndarray) -> np.ndarray:
        assert labelled.dtype == labels.dtype == np.int64
        asked.append((labelled.tolist(), labels.tolist()))
        return first_free(labelled, labels)

    labeller = make(choose=choose, score=share, labelled=[4, 0], labels=[2, 1])
    assert asked == [([4, 0], [2, 1])]
    assert labeller.store.scores["batch"].tolist() == [0]
    finish(labeller)
    assert asked[1] == ([4, 0, 1, 2, 3], [2, 1, 0, 0, 0])
    assert labeller.labelled.tolist() == [4, 0, 1, 2, 3]
    assert labeller.widget.state["total"] == 5


def test_running_the_cell_again_goes_on_with_the_same_batch(make: Make) -> None:
    labeller = make()
    finish(labeller)
    send(labeller, "label", index=4, **{"class": 2})
    again = make(choose=lambda labelled, labels: pytest.fail("a batch is already there"))
    assert shown(again) == [3, 4, 5]
    assert again.widget.state["events"] == [(4, 2)]


def test_a_batch_of_which_nothing_is_labelled_is_chosen_anew(make: Make) -> None:
    labeller = make(score=share)
    finish(labeller)
    again = make(score=share, choose=lambda labelled, labels: np.array([8, 9]), batch=2)
    assert shown(again) == [8, 9]
    assert again.store.number == 2
    assert again.store.scores["labels"].tolist() == [3]


def test_next_sent_twice_is_done_once(make: Make) -> None:
    labeller = make()
    finish(labeller)
    state = send(labeller, "next", batch=1)
    assert labeller.store.number == 2
    assert state["messages"] == []


def test_undo_takes_back_the_pair_it_names(make: Make) -> None:
    labeller = make()
    send(labeller, "label", index=0, **{"class": 2})
    assert "not of 1" in send(labeller, "undo", index=1)["messages"][0]
    assert send(labeller, "undo", index=0)["events"] == []


def test_the_page_is_told_what_is_going_on_and_when_it_ends(make: Make) -> None:
    seen: list[str] = []
    labeller = make(score=share)
    labeller.widget.observe(lambda change: seen.append(change["new"]["busy"]), "state")
    finish(labeller)
    assert "Measuring accuracy" in seen
    assert seen.index("Measuring accuracy") < seen.index("Choosing the next batch")
    assert seen[-1] == ""


def test_the_rest_of_the_pool_is_the_last_batch(make: Make) -> None:
    labeller = make(batch=10)
    assert shown(labeller) == [0, 1, 2]
    state = finish(labeller)
    assert shown(labeller) == list(range(3, 12))
    assert state["messages"] == ["Only 9 images are left; they are the whole batch."]
    state = finish(labeller)
    assert state["finished"]
    assert labeller.store.number == 2


def test_the_last_batch_is_scored_too(make: Make) -> None:
    labeller = make(batch=6, score=share, choose=lambda labelled, labels: np.arange(6))
    assert not finish(labeller)["measured"]
    for index in range(6, 12):
        state = send(labeller, "label", index=index, **{"class": 0})
    assert (state["finished"], state["measured"]) == (True, False)
    state = send(labeller, "next", batch=2)
    assert (state["finished"], state["measured"]) == (True, True)
    assert labeller.store.scores["accuracy"].tolist() == [0.5, 1.0]


def test_a_batch_larger_than_the_pool_is_the_pool(make: Make) -> None:
    labeller = make(batch=20)
    assert len(shown(labeller)) == 12
    assert "Only 12 images" in labeller.widget.state["messages"][0]


def test_a_ranking_longer_than_the_batch_is_cut(make: Make) -> None:
    assert shown(make(choose=lambda labelled, labels: np.arange(12)[::-1])) == [11, 10, 9]


def test_skipped_images_are_left_out_and_never_asked_for_again(make: Make) -> None:
    labeller = make(choose=lambda labelled, labels: np.setdiff1d(np.arange(12), labelled))
    send(labeller, "skip", index=1)
    for index in (0, 2):
        send(labeller, "label", index=index, unsure=index == 2, **{"class": 1})
    state = send(labeller, "next", batch=1)
    assert shown(labeller) == [3, 4, 5]
    assert labeller.labelled.tolist() == [0, 2]
    assert state["unsure"] == [2]
    labeller._choose = lambda labelled, labels: [1]
    state = finish(labeller)
    assert shown(labeller) == [6, 7, 8]
    assert "skipped images only" in state["messages"][0]
    finish(labeller)
    assert finish(labeller)["finished"]


def test_an_earlier_batch_is_shown_and_corrected(make: Make) -> None:
    labeller = make(score=share)
    finish(labeller)
    send(labeller, "label", index=3, **{"class": 0})
    state = send(labeller, "show", batch=1)
    assert (state["number"], state["latest"], shown(labeller)) == (1, 2, [0, 1, 2])
    assert send(labeller, "label", index=1, **{"class": 2})["events"][-1] == (1, 2)
    table = labeller.store.table.set_index("index")
    assert table["label"].to_dict() == {0: 0, 1: 2, 2: 0, 3: 0}
    assert send(labeller, "show", batch=2)["events"] == [(3, 0)]


def test_a_button_exports_the_labels(make: Make, tmp_path: Path) -> None:
    labeller = make()
    send(labeller, "label", index=1, **{"class": 2})
    state = send(labeller, "export")
    assert state["note"] == f"1 labels are in {tmp_path / 'labels.csv'}"
    assert pd.read_csv(tmp_path / "labels.csv")["class"].tolist() == ["coat"]


# What goes wrong while it is in use


def fail_with(error: Exception) -> Callable[..., Any]:
    def fail(labelled: np.ndarray, labels: np.ndarray) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (fail_with(InputError("no class 9 in the policy")), "no class 9 in the policy"),
        (fail_with(KeyError("x")), "choose() failed with KeyError: 'x'"),
        (lambda labelled, labels: [12], "choose()'s batch holds [12]; indices are 0 to 11"),
        (lambda labelled, labels: [4], "image 4, which is labelled already"),
        (lambda labelled, labels: [1, 1], "choose()'s batch holds an index twice"),
        (lambda labelled, labels: [0.5], "must be whole numbers in one dimension, not float64"),
        (lambda labelled, labels: None, "must be whole numbers in one dimension, not object"),
        (lambda labelled, labels: [], "returned no image"),
    ],
)
def test_a_bad_choice_is_one_message_and_can_be_mended(
    make: Make, choose: Callable[..., Any], message: str
) -> None:
    labeller = make(choose=choose, labelled=[4], labels=[0])
    assert [message in said for said in labeller.widget.state["messages"]] == [True]
    assert labeller.failure is not None
    assert shown(labeller) == []
    assert labeller.widget.state["busy"] == ""
    labeller._choose = first_free
    state = send(labeller, "next", batch=0)
    assert state["messages"] == []
    assert shown(labeller) == [0, 1, 2]


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (fail_with(InputError("class coat was never seen")), "class coat was never seen"),
        (fail_with(ValueError("one class only")), "score() failed with ValueError: one class"),
        (lambda labelled, labels: 80, "lies in [0, 1]; 80.0 does not"),
        (lambda labelled, labels: None, "score() failed with TypeError"),
    ],
)
def test_a_failed_score_is_one_message_and_the_next_batch_comes(
    make: Make, score: Callable[..., Any], message: str
) -> None:
    labeller = make(score=score)
    state = finish(labeller)
    assert [message in said for said in state["messages"]] == [True]
    assert shown(labeller) == [3, 4, 5]
    assert labeller.store.scores.empty


def test_a_score_measured_once_is_not_measured_again(make: Make) -> None:
    calls = []

    def score(labelled: np.ndarray, labels: np.ndarray) -> float:
        calls.append(len(labels))
        return 0.5

    labeller = make(score=score)
    labeller._choose = fail_with(InputError("not now"))
    finish(labeller)
    send(labeller, "next", batch=1)
    assert calls == [3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "label", "index": 9, "class": 0}, "image 9 is not in batch 1"),
        ({"kind": "label", "index": 0, "class": 3}, "no class 3"),
        ({"kind": "next", "batch": 1}, "3 images of this batch have no label yet"),
    ],
)
def test_a_wrong_step_is_one_message(make: Make, content: dict[str, Any], message: str) -> None:
    labeller = make()
    state = send(labeller, **content)
    assert [message in said for said in state["messages"]] == [True]
    assert send(labeller, "label", index=0, **{"class": 1})["events"] == [(0, 1)]


def test_another_process_shows_itself(make: Make) -> None:
    labeller, other = make(), make()
    send(other, "label", index=0, **{"class": 1})
    state = send(labeller, "label", index=0, **{"class": 2})
    assert "another process has written" in state["messages"][0]
    assert state["events"] == [(0, 1)]


def test_a_message_outlives_quick_typing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    labeller = make()
    send(labeller, "label", index=9, **{"class": 0})
    assert send(labeller, "label", index=0, **{"class": 0})["messages"]
    monkeypatch.setattr("ialelib.labelling.labeller.MESSAGE_SECONDS", 0)
    assert send(labeller, "label", index=1, **{"class": 0})["messages"] == []


def test_a_lost_store_is_one_message(make: Make) -> None:
    labeller = make()
    labeller.store.path.unlink()
    state = send(labeller, "label", index=0, **{"class": 1})
    assert state["events"] == []
    assert ["cannot be used now" in said for said in state["messages"]] == [True]


# What is refused before anything is shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images_N": IMAGES.astype(np.float32)}, "must be uint8"),
        ({"images_N": IMAGES[0]}, "must be uint8"),
        ({"images_N": IMAGES[:0]}, "must be uint8"),
        ({"images_N": IMAGES[..., None]}, "must be uint8"),
        ({"images_N": "images.png"}, "must be uint8"),
        ({"classes": []}, "at least one name"),
        ({"classes": ["bag"]}, "not those of the store"),
        ({"batch": 0}, "at least one image"),
        ({"labelled": [1]}, "labelled has 1 images, but labels has 0"),
        ({"labelled": [12], "labels": [0]}, r"labelled holds \[12\]; indices are 0 to 11"),
        ({"labelled": [1, 1], "labels": [0, 0]}, "labelled holds an index twice"),
        ({"labelled": [1], "labels": [3]}, "labels must be class indices from 0 to 2"),
        ({"labelled": [1], "labels": [-1]}, "labels must be class indices from 0 to 2"),
        ({"labelled": [1], "labels": ["bag"]}, "labels must be class indices from 0 to 2"),
    ],
)
def test_bad_input_is_refused(make: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_a_store_of_other_images_is_refused(make: Make) -> None:
    make()
    with pytest.raises(InputError, match="another pool"):
        make(images_N=IMAGES[::-1])


def test_a_data_set_is_refused_before_any_image_is_read(make: Make) -> None:
    class Images:
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> None:
            pytest.fail("read")

    with pytest.raises(InputError, match=r"images must be uint8, .* not Images of shape"):
        make(images_N=Images())


def test_images_both_stored_and_known_are_refused(make: Make) -> None:
    finish(make())
    with pytest.raises(InputError, match="image 2 is in the store and among those known"):
        make(labelled=[2], labels=[0])
    assert shown(make(labelled=[3], labels=[0])) == [4, 5, 6]
    send(make(), "label", index=4, **{"class": 0})
    with pytest.raises(InputError, match="image 5 is in the store and among those known"):
        make(labelled=[5], labels=[0])


# Pictures


@pytest.mark.parametrize("shape", [(28, 28), (3, 7), (5, 4, 3), (1, 1)])
def test_pictures_are_read_back_to_the_last_bit(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    source = view.picture(3, image)["src"]
    file = io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))
    read = plt.imread(file)
    assert read.shape == shape
    assert np.array_equal(np.round(read * 255), image)


def test_large_pictures_are_sent_at_twice_their_size_on_the_page() -> None:
    source = view.picture(0, np.zeros((600, 1200, 3), np.uint8))["src"]
    file = io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))
    assert plt.imread(file).shape == (128, 256, 3)


@pytest.mark.parametrize(
    ("shape", "size"),
    [((28, 28), [112, 112]), ((32, 32, 3), [128, 128]), ((300, 600), [128, 64])],
)
def test_small_images_grow_by_a_whole_factor(shape: tuple[int, ...], size: list[int]) -> None:
    assert view.shown_size(shape) == size


def test_a_page_wide_image_keeps_a_height() -> None:
    assert view.shown_size((1, 600)) == [128, 1]


@pytest.mark.parametrize(("classes", "keys"), [(36, view.KEYS), (37, [""] * 37)])
def test_more_than_36_classes_have_no_single_keys(classes: int, keys: list[str]) -> None:
    shown = view.buttons([str(n) for n in range(classes)])
    assert [button["key"] for button in shown] == list(keys)


def test_the_curve_is_well_formed_and_says_its_numbers() -> None:
    scores = pd.DataFrame({"batch": [0, 1], "labels": [20, 30], "accuracy": [0.25, 0.5]})
    svg = ElementTree.fromstring(view.draw_curve(scores))
    assert "20 labels: 25.0%; 30 labels: 50.0%" in svg.attrib["aria-label"]
    low, high = svg.findall("circle")
    assert float(low.attrib["cy"]) > float(high.attrib["cy"])
    assert float(low.attrib["cx"]) < float(high.attrib["cx"])
    empty = ElementTree.fromstring(view.draw_curve(scores[:0]))
    assert empty.attrib["viewBox"] == svg.attrib["viewBox"]
    assert empty.findall("circle") == []


@pytest.mark.parametrize("last", [10, 17, 30, 299, 1000, 123_456])
def test_the_curve_has_few_round_ticks(last: int) -> None:
    ticks = view._round_steps(last)
    assert 3 <= len(ticks) <= 6
    assert ticks[-1] <= last
