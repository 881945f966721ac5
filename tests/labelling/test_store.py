"""The label store: what was confirmed is on disk; nothing foreign is touched; nothing is lost."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from ialelib.labelling.store import LabelStore
from ialelib.utils.errors import InputError

CLASSES = ["bag", "boot", "coat"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "labels.db"


@pytest.fixture
def store(path: Path) -> LabelStore:
    store = LabelStore(path, CLASSES)
    store.propose([30, 10, 20])
    return store


def finish(store: LabelStore, class_: int = 0) -> None:
    for index in store.batch:
        store.label(index, class_)


# What it keeps


def test_a_new_store_is_empty(path: Path) -> None:
    store = LabelStore(path, CLASSES)
    assert store.number == store.unlabelled == 0
    assert store.batch.size == store.labelled.size == store.labels.size == 0
    assert store.events == []
    assert store.scores.empty
    assert list(store.scores) == ["batch", "labels", "accuracy"]


def test_labels_are_found_again_in_the_order_given(path: Path, store: LabelStore) -> None:
    store.label(np.int64(10), np.int64(2))
    store.label(30, 0)
    again = LabelStore(path, CLASSES)
    assert again.labelled.tolist() == [10, 30]
    assert again.labels.tolist() == [2, 0]
    assert again.labelled.dtype == again.labels.dtype == np.int64
    assert again.batch.tolist() == [30, 10, 20]
    assert again.unlabelled == 1


def test_the_last_of_two_labels_counts_and_can_be_taken_back(store: LabelStore) -> None:
    store.label(10, 2)
    store.label(10, 1)
    assert store.events == [(10, 2), (10, 1)]
    assert store.labels.tolist() == [1]
    assert store.undo() == 10
    assert store.labels.tolist() == [2]
    assert store.undo(10) == 10
    assert store.labels.size == 0


def test_undo_names_what_it_would_take_back(store: LabelStore) -> None:
    with pytest.raises(InputError, match="nothing to undo"):
        store.undo()
    store.label(10, 2)
    with pytest.raises(InputError, match="that of image 10, not of 30"):
        store.undo(30)
    assert store.labelled.tolist() == [10]


def test_undo_stays_within_the_current_batch(store: LabelStore) -> None:
    finish(store)
    store.propose([5])
    with pytest.raises(InputError, match="nothing to undo"):
        store.undo()
    assert store.labelled.tolist() == [30, 10, 20]


def test_batches_follow_each_other(path: Path, store: LabelStore) -> None:
    store.label(10, 0)
    with pytest.raises(InputError, match="batch 1 is not finished: 2 images"):
        store.propose([5])
    finish(store)
    store.propose([5, 4])
    again = LabelStore(path, CLASSES)
    assert again.number == 2
    assert again.batch.tolist() == [5, 4]
    assert again.labelled.tolist() == [30, 10, 20]


def test_a_batch_without_labels_can_be_replaced(path: Path, store: LabelStore) -> None:
    store.propose([5, 30])
    again = LabelStore(path, CLASSES)
    assert (again.number, again.batch.tolist()) == (1, [5, 30])


def test_scores_are_those_of_finished_batches(path: Path, store: LabelStore) -> None:
    with pytest.raises(InputError, match="not finished"):
        store.score(3, 0.5)
    finish(store)
    store.score(3, np.float32(0.5))
    store.propose([5])
    finish(store)
    store.score(4, 0.75)
    wanted = pd.DataFrame({"batch": [1, 2], "labels": [3, 4], "accuracy": [0.5, 0.75]})
    pd.testing.assert_frame_equal(LabelStore(path, CLASSES).scores, wanted)


def test_a_changed_label_makes_the_score_of_its_batch_void(store: LabelStore) -> None:
    finish(store)
    store.score(3, 0.5)
    store.label(10, 2)
    assert store.scores.empty
    store.score(3, 0.5)
    store.undo()
    assert store.scores.empty


def test_labels_of_earlier_batches_are_corrected_and_nothing_is_forgotten(
    path: Path, store: LabelStore
) -> None:
    finish(store)
    store.propose([5])
    store.label(20, 2, unsure=True)
    store.skip(5)
    store.undo(5)
    store.skip(5)
    store.skip(10)
    again = LabelStore(path, CLASSES)
    table = again.table.set_index("index")
    assert table["class"].to_dict() == {30: "bag", 20: "coat"}
    assert table["unsure"].to_dict() == {30: False, 20: True}
    assert table["batch"].to_dict() == {30: 1, 20: 1}
    assert again.skipped.tolist() == [5, 10]
    assert again.unlabelled == 0
    history = again.history
    assert history["index"].tolist() == [30, 10, 20, 20, 5, 5, 10]
    assert history["class"].tolist() == ["bag"] * 3 + ["coat"] + ["skipped"] * 3
    assert history["undone"].notna().tolist() == [False] * 4 + [True, False, False]


FIRST_VERSION = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE classes (class INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE batches (batch INTEGER, position INTEGER, image INTEGER NOT NULL UNIQUE,
                      PRIMARY KEY (batch, position));
CREATE TABLE labels (id INTEGER PRIMARY KEY, image INTEGER NOT NULL, class INTEGER NOT NULL,
                     time TEXT NOT NULL, batch INTEGER NOT NULL);
CREATE TABLE scores (batch INTEGER PRIMARY KEY, labels INTEGER NOT NULL, accuracy REAL NOT NULL,
                     time TEXT NOT NULL);
INSERT INTO about VALUES ('writes', 3);
INSERT INTO classes VALUES (0, 'bag'), (1, 'boot'), (2, 'coat');
INSERT INTO batches VALUES (1, 0, 7), (1, 1, 8);
INSERT INTO labels VALUES (1, 7, 2, '2026-01-01T00:00:00.000+00:00', 1);
PRAGMA application_id = 1229016133;
PRAGMA user_version = 1;
"""


def test_stores_of_the_first_version_are_read_and_go_on(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    with sqlite3.connect(path) as db:
        db.executescript(FIRST_VERSION)
    db.close()
    store = LabelStore(path, CLASSES)
    assert store.events == [(7, 2)]
    store.skip(8)
    assert LabelStore(path, CLASSES).table["class"].tolist() == ["coat"]
    assert store.unlabelled == 0


def test_export_is_a_readable_table(store: LabelStore, tmp_path: Path) -> None:
    store.label(10, 2)
    store.label(20, 0)
    store.export(tmp_path / "out" / "labels.csv")
    table = pd.read_csv(tmp_path / "out" / "labels.csv")
    assert list(table) == ["index", "label", "class", "batch", "time", "unsure"]
    assert table["class"].tolist() == ["coat", "bag"]
    assert pd.to_datetime(table["time"]).dt.tz is not None


# What it refuses


def test_export_never_takes_the_place_of_the_store(path: Path, store: LabelStore) -> None:
    before = path.read_bytes()
    (path.parent / "link.csv").symlink_to(path)
    for same in (path, path.parent / "." / path.name, path.parent / "link.csv"):
        with pytest.raises(InputError, match="is the label store itself"):
            store.export(same)
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="is a folder"):
        store.export(path.parent)


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.label(2**70, 0),
        lambda store: store.skip(2**70),
        lambda store: store.label(store.batch[0], np.array([0, 1])),
        lambda store: store.label(store.batch[0], 0, unsure=None),
        lambda store: store.score(2**70, 0.5),
        lambda store: store.score(-5, 0.5),
        lambda store: store.score("x", 0.5),
        lambda store: store.score(3, "a"),
        lambda store: store.events_in(2**70 * -1),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused(
    store: LabelStore, call: Callable[[LabelStore], object]
) -> None:
    before = len(store.history)
    with pytest.raises(InputError):
        call(store)
    assert len(store.history) == before


@pytest.mark.parametrize("classes", [None, 5, ["a\ud800"], "ab", {"a", "b"}])
def test_no_list_of_names_is_refused(path: Path, classes: Any) -> None:
    with pytest.raises(InputError, match="classes must be a list"):
        LabelStore(path, classes)
    assert not path.exists()


@pytest.mark.parametrize("class_", [-1, 3, "bag", None, 0.5])
def test_unknown_class_is_refused(store: LabelStore, class_: int) -> None:
    with pytest.raises(InputError, match="no class"):
        store.label(10, class_)
    assert store.labelled.size == 0


@pytest.mark.parametrize("index", [11, -1, "10", None])
def test_image_outside_the_batch_is_refused(store: LabelStore, index: int) -> None:
    with pytest.raises(InputError, match="is not in batch 1"):
        store.label(index, 0)
    assert store.labelled.size == 0


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "at least one image"),
        ([1, 1], "a batch holds an index twice"),
        ([-1], r"a batch holds \[-1\]; indices are 0 or more"),
        ([0.5], "must be whole numbers in one dimension, not float64"),
        ([[1]], r"must be whole numbers in one dimension, .* of shape \(1, 1\)"),
        ([20], "was in a batch before"),
    ],
)
def test_bad_batch_is_refused(store: LabelStore, batch: list[int], message: str) -> None:
    finish(store)
    with pytest.raises(InputError, match=message):
        store.propose(batch)
    assert store.number == 1


@pytest.mark.parametrize("accuracy", [-0.1, 50, float("nan")])
def test_accuracy_is_a_share(store: LabelStore, accuracy: float) -> None:
    finish(store)
    with pytest.raises(InputError, match=r"lies in \[0, 1\]"):
        store.score(3, accuracy)


@pytest.mark.parametrize("classes", [[], "bag", ["bag", ""], ["bag", "bag"], [1, 2]])
def test_bad_classes_make_no_file(path: Path, classes: list[str]) -> None:
    with pytest.raises(InputError, match="class"):
        LabelStore(path, classes)
    assert not path.exists()


@pytest.mark.parametrize("classes", [["boot", "bag", "coat"], ["bag", "boot"]])
def test_other_classes_are_refused(path: Path, store: LabelStore, classes: list[str]) -> None:
    before = path.read_bytes()
    with pytest.raises(InputError, match="classes bag, boot, coat, not of"):
        LabelStore(path, classes)
    assert path.read_bytes() == before


def test_another_pool_is_refused(path: Path) -> None:
    pool = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    LabelStore(path, CLASSES, pool)
    before = path.read_bytes()
    for other in (pool[::-1], pool[:5], pool.reshape(6, 4, 1), pool.astype(np.int16)):
        with pytest.raises(InputError, match="another pool of images"):
            LabelStore(path, CLASSES, other)
    assert path.read_bytes() == before
    LabelStore(path, CLASSES, pool.copy())
    LabelStore(path, CLASSES)


def test_images_may_be_added_at_the_end(path: Path) -> None:
    pool = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    LabelStore(path, CLASSES, pool[:4])
    LabelStore(path, CLASSES, pool)
    for other in (pool[:4], np.concatenate([pool[1:], pool[:3]])):
        with pytest.raises(InputError, match="put new images after those that it knows"):
            LabelStore(path, CLASSES, other)
    LabelStore(path, CLASSES, pool)


# Damage


def sqlite_of_others(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE songs (name TEXT)")
    db.close()


def not_sqlite(path: Path) -> None:
    path.write_text("image,label\n1,2\n" * 100)


def cut_off(path: Path) -> None:
    LabelStore(path, CLASSES)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def overwritten(path: Path) -> None:
    LabelStore(path, CLASSES)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"x" * (len(whole) - 4096))


def emptied(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("damage", [sqlite_of_others, not_sqlite, cut_off, overwritten, emptied])
def test_damaged_or_foreign_file_is_left_alone(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "labels.db"
    damage(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"{re.escape(str(path))} is damaged or no label store"):
        LabelStore(path, CLASSES)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"labels\.db cannot be written .*; name a folder that"):
        LabelStore(tmp_path / "file" / "labels.db", CLASSES)


def test_a_store_that_is_gone_is_not_made_anew(path: Path, store: LabelStore) -> None:
    path.unlink()
    with pytest.raises(InputError, match="cannot be used now"):
        store.label(10, 0)
    assert not path.exists()


# Kills and other processes

CHILD = """
import sys
from ialelib.labelling import LabelStore
store = LabelStore(sys.argv[1], ["bag", "boot", "coat"])
for index in store.batch.tolist():
    store.label(index, index % 3)
    print(index, flush=True)
"""


def test_a_kill_loses_no_confirmed_label(path: Path) -> None:
    LabelStore(path, CLASSES).propose(range(10_000))
    command = [sys.executable, "-c", CHILD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        confirmed = [int(child.stdout.readline()) for _ in range(5)]
        os.kill(child.pid, signal.SIGKILL)
        confirmed += [int(line) for line in child.stdout.read().splitlines()]
        assert child.wait() == -signal.SIGKILL
    store = LabelStore(path, CLASSES)
    found = store.labelled.tolist()
    assert found[: len(confirmed)] == confirmed
    assert len(found) <= len(confirmed) + 1
    assert store.labels.tolist() == [index % 3 for index in found]
    store.label(len(found), 0)


def test_a_label_of_another_process_is_never_overwritten_unseen(
    path: Path, store: LabelStore
) -> None:
    other = LabelStore(path, CLASSES)
    other.label(10, 2)
    with pytest.raises(InputError, match="another process has written"):
        store.label(10, 0)
    assert store.labels.tolist() == [2]
    store.label(20, 1)
    assert other.labelled.tolist() == [10, 20]


RIVAL = """
import sys
from ialelib.utils.errors import InputError
from ialelib.labelling import LabelStore
store = LabelStore(sys.argv[1], ["bag", "boot", "coat"])
mine = int(sys.argv[2])
for index in store.batch.tolist()[mine::2]:
    while True:
        try:
            store.label(index, mine)
            break
        except InputError as error:
            assert "another process" in str(error), error
"""


def test_two_processes_lose_nothing(path: Path) -> None:
    LabelStore(path, CLASSES).propose(range(40))
    commands = [[sys.executable, "-c", RIVAL, str(path), str(mine)] for mine in (0, 1)]
    rivals = [subprocess.Popen(command) for command in commands]
    assert [rival.wait(120) for rival in rivals] == [0, 0]
    store = LabelStore(path, CLASSES)
    assert sorted(zip(store.labelled, store.labels, strict=True)) == [
        (index, index % 2) for index in range(40)
    ]


AT_ONCE = """
import sys
import numpy as np
from ialelib.labelling import LabelStore
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    LabelStore(f"{sys.argv[1]}{number}", ["bag", "boot"], np.zeros((3, 2, 2), np.uint8)).labels
"""


def test_stores_that_are_made_at_once_are_one(path: Path) -> None:
    command, piped = [sys.executable, "-c", AT_ONCE, str(path)], subprocess.PIPE
    makers = [subprocess.Popen(command, stdin=piped, stdout=piped, text=True) for _ in range(3)]
    for maker in makers:
        assert maker.stdout
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()
    for maker in makers:
        maker.communicate()
    assert [maker.returncode for maker in makers] == [0, 0, 0]
    assert len(list(path.parent.iterdir())) == 20


def test_a_store_may_lie_where_files_have_one_name_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", Mock(side_effect=PermissionError))
    LabelStore(path, CLASSES)
    assert list(path.parent.iterdir()) == [path]


def test_a_locked_file_gives_one_sentence(
    path: Path, store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ialelib.labelling.store.PATIENCE", 0.05)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(InputError, match=r"database is locked.*no saved label is lost"):
            store.label(10, 0)
    finally:
        holder.close()
    store.label(10, 0)
    assert store.labelled.tolist() == [10]
