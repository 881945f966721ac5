"""Worker processes that joblib replaces, or whose parent ends."""

import builtins
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed

from ialelib.utils import workers


def grown(task: int) -> int:
    """Keep more memory, from some task on, than joblib lets a worker grow by (300 MB)."""
    time.sleep(0.6)  # it looks once in a second
    if task in (4, 5):
        vars(builtins)["kept"] = np.ones(60_000_000)
    return os.getpid()


def test_a_worker_that_has_grown_is_replaced_and_no_task_is_lost() -> None:
    found = Parallel(2, timeout=120)(delayed(grown)(task) for task in range(16))
    assert len(found) == 16
    assert len(set(found)) > 2, "none was replaced"


ORPHAN = """
import multiprocessing, os, sys, time
from ialelib.utils.workers import end_with_parent

def late(path):
    parent = multiprocessing.parent_process().pid
    open(path, "w").write(str(os.getpid()))
    while os.getppid() == parent:
        time.sleep(0.05)
    end_with_parent()
    time.sleep(60)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=late, args=[sys.argv[1]]).start()
    time.sleep(60)
"""


def test_a_worker_whose_parent_has_ended_before_its_first_task_ends(tmp_path: Path) -> None:
    script, note = tmp_path / "orphan.py", tmp_path / "pid"
    script.write_text(ORPHAN)
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen([sys.executable, str(script), str(note)], env=environment) as parent:
        until(lambda: note.exists() and note.read_text() != "")
        parent.kill()
    until(lambda: not Path(f"/proc/{note.read_text()}").exists())


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_shared_memory_of_killed_runs_is_removed_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SHARED", tmp_path)
    with subprocess.Popen(["true"]) as ended:
        pass
    own = tmp_path / f"ialelib-{os.getuid()}"
    dead, living = (own / f"joblib_memmapping_folder_{pid}_a_b" for pid in (ended.pid, os.getpid()))
    for folder in (dead, living):
        folder.mkdir(parents=True)
        (folder / "array.pkl").write_bytes(b"0")
    arrays = [np.ones(200_000)] * 2  # large enough for shared memory
    assert workers.parallel(2)(delayed(np.sum)(array) for array in arrays) == [200_000] * 2
    assert not dead.exists()
    assert (living / "array.pkl").exists()


FOLDER = """
import sys, time
from ialelib.utils.workers import temporary_folder
print(temporary_folder(), flush=True)
(temporary_folder() / "run").mkdir()
sys.stdin.read()
"""


def folder_of_a_process(top: Path) -> "tuple[subprocess.Popen[str], Path]":
    """A process, and its temporary folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(top)}
    process = subprocess.Popen(
        [sys.executable, "-c", FOLDER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_the_temporary_folder_goes_with_its_process_or_after_a_kill_with_the_next(
    tmp_path: Path,
) -> None:
    killed, left = folder_of_a_process(tmp_path)
    killed.kill()
    killed.communicate()
    assert left.parent == tmp_path
    assert left.exists()
    (process, own), (other, others) = folder_of_a_process(tmp_path), folder_of_a_process(tmp_path)
    assert {*tmp_path.iterdir()} == {own, others}, "only what a killed process left is removed"
    process.communicate()
    other.communicate()
    assert list(tmp_path.iterdir()) == []
