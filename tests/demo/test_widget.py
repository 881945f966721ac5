"""The toy demo's widget without a browser: what its controls do, and what it says."""

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io
import pytest

from ialelib.demo import widget
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
PARTS = ("unlabelled", "class 0", "class 1", "newest")
SMALL: dict[str, Any] = {"samples": 120, "initial": 10, "n": 40}


@pytest.fixture
def demo() -> Any:
    return widget.toy_demo(**SMALL)


def plot(demo: Any, position: int) -> go.Figure:
    """One of the plots as the page gets it: two planes, accuracies, shares."""
    return plotly.io.from_json(demo.plots.plots[position]["figure"])


def shown(demo: Any, name: str, side: int) -> Any:
    """What a plane shows under that name."""
    (trace,) = plot(demo, side).select_traces({"name": name})
    return trace


def points(demo: Any, name: str, side: int) -> list[int]:
    return [int(point) for point in sent(shown(demo, name, side).customdata)]


def sent(values: Any) -> np.ndarray:
    """Numbers that Plotly may have packed for the page."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.asarray(values)


def test_step_adds_a_batch_and_says_so(demo: Any) -> None:
    assert demo.status.value.startswith("Step 0. Left panel, Entropy: 10 labels")
    demo.step.click()
    assert demo.status.value.startswith("Step 1. Left panel, Entropy: 20 labels, accuracy ")
    assert demo.message.value == ""


def test_the_planes_show_every_point_once(demo: Any) -> None:
    for _ in range(2):
        demo.step.click()
        for side in (0, 1):
            parts = [point for name in PARTS for point in points(demo, name, side)]
            assert sorted(parts) == list(range(120))
            assert len(points(demo, "newest", side)) == 10


def test_labelled_unlabelled_and_new_points_differ_in_shape_or_size(demo: Any) -> None:
    demo.step.click()
    zero, one, newest = (shown(demo, name, 0).marker for name in ("class 0", "class 1", "newest"))
    assert {zero.symbol, one.symbol} == {"circle", "square"}
    assert set(newest.symbol) <= {"circle-x", "square-x"}
    assert shown(demo, "unlabelled", 0).marker.size < zero.size < newest.size


def test_the_policys_panel_shows_scores_and_shares(demo: Any) -> None:
    demo.step.click()
    panel = demo.demo.panels[1]
    assert np.allclose(sent(shown(demo, "unlabelled", 1).marker.color), panel.score_U)
    assert shown(demo, "unlabelled", 1).marker.showscale
    assert not shown(demo, "unlabelled", 0).marker.showscale
    left, right = plot(demo, 3).data
    assert sent(right.x).tolist() == list(panel.shares.values())
    assert set(sent(left.x)) == {None}
    assert demo.plots.plots[3]["heading"] == "What each expert would have chosen, too"
    click(demo, "unlabelled", 1, 0)
    assert demo.plots.plots[3]["heading"] == "The newest label is yours"


def test_both_headings_say_the_mean_accuracy_so_far(demo: Any) -> None:
    for _ in range(3):
        demo.step.click()
    for side, panel in enumerate(demo.demo.panels):
        mean = 100 * np.dot(panel.accuracy, [1, 2, 2, 1]) / 6
        said = re.search(r"mean so far (\S+) %</span>", demo.plots.plots[side]["heading"])
        assert said
        assert float(said[1]) == pytest.approx(mean, abs=0.0501)


def test_a_page_that_is_reloaded_shows_what_is_now(demo: Any) -> None:
    demo.step.click()
    assert demo.plots.get_state()["plots"] == demo.plots.plots
    assert points(demo, "newest", 0) == demo.demo.panels[0].newest.tolist()
    assert "20 labels" in demo.plots.plots[0]["heading"]


def test_histograms_grow_where_their_bars_do() -> None:
    demo = widget.toy_demo("entropy", overlap=0.6)
    demo.step.click()
    panel = demo.demo.panels[0]
    left, right = (plot(demo, side).layout.yaxis2.range for side in (0, 1))
    tallest = 100 * panel.histogram_C_B.sum(0).max() / len(panel.labelled)
    assert left[1] > tallest > 42
    assert left == right


def test_steps_keep_the_plots_their_traces_and_their_axes(demo: Any) -> None:
    before = [plot(demo, position) for position in range(4)]
    demo.step.click()
    for position, old in enumerate(before):
        now = plot(demo, position)
        assert now.layout == old.layout
        assert [trace.name for trace in now.data] == [trace.name for trace in old.data]


def test_reset_returns_to_the_initial_labels(demo: Any) -> None:
    first = demo.status.value
    demo.step.click()
    demo.reset.click()
    assert demo.status.value == first
    assert not points(demo, "newest", 0)


def test_another_strategy_overlap_or_seed_starts_anew(demo: Any) -> None:
    demo.left.value = "coreset"
    assert demo.status.value.startswith("Step 0. Left panel, CoreSet: 10 labels")
    points = demo.demo.points_N_2
    demo.overlap.value = 0.5
    assert "Best possible accuracy: 75.0 %" in demo.status.value
    demo.seed.value = "7"
    assert not np.array_equal(demo.demo.points_N_2, points)


def click(demo: Any, name: str, side: int, position: int) -> int:
    """Click on a point as the page says it."""
    point = points(demo, name, side)[position]
    demo.plots._handle_custom_msg({"point": point, "side": side}, [])
    return point


def test_a_click_labels_the_point_in_that_panel_only(demo: Any) -> None:
    point = click(demo, "unlabelled", 1, 3)
    assert "Left panel, Entropy: 10 labels" in demo.status.value
    assert "Right panel, IALE policy: 11 labels" in demo.status.value
    assert point in demo.demo.panels[1].labelled
    assert f"Point {point} at" in demo.where.value
    assert click(demo, "newest", 1, 0) == point
    assert demo.message.value == f"Point {point} is labelled already in the right panel."


def test_your_point_is_hidden_until_it_is_used(demo: Any) -> None:
    assert not points(demo, "own", 0)
    assert "ialelib-own" not in demo._dom_classes
    demo.own.value = True
    assert points(demo, "own", 0) == points(demo, "own", 1) == [0]
    assert "ialelib-own" in demo._dom_classes
    demo.own.value = False
    assert not points(demo, "own", 0)
    point = click(demo, "unlabelled", 1, 3)
    assert points(demo, "own", 0) == [point]
    assert "ialelib-own" in demo._dom_classes


def test_a_point_is_chosen_ringed_and_labelled_without_a_mouse(demo: Any) -> None:
    point = int(demo.demo.panels[1].unlabelled[5])
    demo.own.value, demo.side.value, demo.point.value = True, 1, point
    assert points(demo, "own", 0) == [point]
    assert "right unlabelled with score 0." in demo.where.value
    demo.add.click()
    assert "right labelled" in demo.where.value
    assert "IALE policy: 11 labels" in demo.status.value


LOSING: dict[str, Any] = {
    "left": "coreset",
    "right": "badge",
    "overlap": 0.3,
    "seed": "7",
    "reset": None,
}


def lose(demo: Any, control: str) -> None:
    """Do what starts anew."""
    if control == "reset":
        demo.reset.click()
    else:
        getattr(demo, control).value = LOSING[control]


@pytest.mark.parametrize("control", LOSING)
def test_a_question_comes_before_labels_given_by_hand_are_lost(demo: Any, control: str) -> None:
    click(demo, "unlabelled", 0, 3)
    click(demo, "unlabelled", 1, 3)
    before, shown = demo.status.value, demo.demo
    lose(demo, control)
    for press in (lambda: None, demo.step.click):
        press()
        assert demo.message.value == "Starting anew loses 2 labels given by hand."
        assert "ialelib-asks" in demo._dom_classes
        assert demo.demo is shown
        assert demo.status.value == before
    demo.keep.click()
    assert demo.message.value == ""
    assert "ialelib-asks" not in demo._dom_classes
    assert demo.demo is shown
    assert (demo.left.value, demo.right.value) == ("entropy", "policy")
    assert (demo.overlap.value, demo.seed.value) == (0.2, "0")
    lose(demo, control)
    demo.anew.click()
    assert demo.message.value == ""
    assert "Entropy: 10 labels" in demo.status.value or control == "left"
    assert not demo.demo.by_hand
    assert "ialelib-by-hand" not in demo._dom_classes


def test_nothing_is_asked_without_labels_given_by_hand(demo: Any) -> None:
    demo.step.click()
    demo.reset.click()
    assert demo.message.value == ""
    assert demo.status.value.startswith("Step 0.")


def test_a_control_that_is_set_back_takes_the_question_back(demo: Any) -> None:
    click(demo, "unlabelled", 0, 3)
    demo.left.value = "badge"
    demo.left.value = "entropy"
    assert demo.message.value == ""
    demo.step.click()
    assert demo.demo.by_hand == 1


@pytest.mark.parametrize(
    ("control", "value", "good", "message"),
    [
        ("overlap", 0.0, 0.3, "The overlap must lie above 0 and below 1, not 0."),
        ("overlap", 1.0, 0.3, "The overlap must lie above 0 and below 1, not 1."),
        ("acq", 0, 5, "The acquisition size must be 1 or more, not 0."),
        ("acq", 500, 5, "Acquisition size 500 exceeds the pool: 110 unlabelled points are left."),
        ("n", 3, 30, "Acquisition size 10 exceeds the sub-pool of n = 3; raise n, or lower"),
        ("seed", "seven", "7", "The seed must be a whole number from 0, not 'seven'."),
        ("seed", "-1", "7", "The seed must be a whole number from 0, not '-1'."),
    ],
)
def test_bad_input_gives_a_message_and_leaves_all_as_it_was(
    demo: Any, control: str, value: Any, good: Any, message: str
) -> None:
    before = demo.status.value
    getattr(demo, control).value = value
    demo.step.click()
    assert demo.message.value.startswith(message)
    assert demo.status.value == before
    getattr(demo, control).value = good
    demo.step.click()
    assert demo.message.value == ""
    assert demo.status.value.startswith("Step 1.")


@pytest.mark.parametrize("point", [-1, 120])
def test_a_point_that_is_not_there_gives_a_message(demo: Any, point: int) -> None:
    demo.own.value, demo.point.value = True, point
    assert demo.where.value == f"There is no point {point}."
    assert not points(demo, "own", 0)
    demo.add.click()
    assert demo.message.value == f"There is no point {point}; points are numbered 0 to 119."


def test_a_message_stays_while_a_control_is_wrong(demo: Any) -> None:
    demo.overlap.value = 0
    demo.point.value = 5
    demo.add.click()
    assert demo.message.value == "The overlap must lie above 0 and below 1, not 0."
    demo.overlap.value = 0.2
    assert demo.message.value == ""


def test_an_exhausted_pool_gives_a_message_until_reset(demo: Any) -> None:
    demo.acq.value, demo.n.value = 110, 200
    demo.step.click()
    assert "Entropy: 120 labels" in demo.status.value
    demo.step.click()
    assert demo.message.value == (
        "The pool is exhausted: every point of the left panel is labelled; press Reset."
    )
    demo.reset.click()
    assert demo.message.value == ""
    assert "Entropy: 10 labels" in demo.status.value


def test_play_runs_until_it_is_paused_and_lets_others_work(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "PAUSE", 0.01)

    async def press() -> tuple[int, int]:
        demo.play.value = True
        assert demo.play.description == "Pause"
        while demo.demo.steps < 2:
            await asyncio.sleep(0)
        demo.play.value = False
        reached = demo.demo.steps
        await asyncio.sleep(0.1)
        return reached, demo.demo.steps

    reached, later = asyncio.run(press())
    assert reached == later == 2
    assert demo.play.description == "Play"


def test_play_ends_with_the_pool_and_reset_ends_it(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "PAUSE", 0.01)
    demo.acq.value = 40

    async def press() -> None:
        demo.play.value = True
        while demo.play.value:
            await asyncio.sleep(0.01)
        assert "exceeds the pool: 30 unlabelled points are left" in demo.message.value
        demo.play.value = True
        demo.reset.click()
        await asyncio.sleep(0.1)

    asyncio.run(press())
    assert demo.demo.steps == 0
    assert not demo.play.value


def test_two_policies_have_bars_side_by_side(demo: Any) -> None:
    demo.left.value = "policy"
    demo.step.click()
    left, right = plot(demo, 3).data
    assert left.offset + left.width == right.offset


def test_the_accuracy_axis_grows_when_labels_outgrow_it() -> None:
    demo = widget.toy_demo(samples=400, acq=300, n=400)
    assert plot(demo, 2).layout.xaxis.range == (0, 240)
    demo.step.click()
    assert plot(demo, 2).layout.xaxis.range == (0, 480)


def test_every_control_has_words() -> None:
    demo = widget.toy_demo(**SMALL)
    choices = (demo.left, demo.right, demo.overlap, demo.seed, demo.acq, demo.n)
    actions = (demo.step, demo.play, demo.reset, demo.own, demo.anew, demo.keep)
    for control in (*choices, *actions, demo.side, demo.point, demo.add):
        assert control.description
        assert control.tooltip


def test_the_caller_of_bad_arguments_gets_the_error() -> None:
    with pytest.raises(InputError, match="overlap must lie"):
        widget.toy_demo(overlap=0)
    with pytest.raises(InputError, match="unknown policy 'toi'; did you mean 'toy'"):
        widget.toy_demo(policy_name="toi")


@pytest.mark.parametrize("path", sorted(PROJECT.glob("notebooks/**/*.ipynb")), ids=lambda p: p.stem)
def test_no_notebook_holds_the_state_of_widgets(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert "widgets" not in notebook["metadata"]
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
    kinds = {kind for out in outputs for kind in out.get("data", {})}
    assert "application/vnd.jupyter.widget-view+json" not in kinds


def test_the_page_for_voila_shows_the_demo() -> None:
    (cell,) = (
        cell
        for cell in json.loads((PROJECT / "notebooks/voila/demo.ipynb").read_text())["cells"]
        if cell["cell_type"] == "code"
    )
    source, last = "".join(cell["source"]).rsplit("\n", 1)
    names: dict[str, Any] = {}
    exec(source, names)
    assert isinstance(eval(last, names), widget.ToyDemo)
