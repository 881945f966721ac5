"""`kill -9` at random moments: nothing is lost, no result differs, and nothing stays behind.

One round is seven kills, and three more in tests/runner/test_batch_kill.py; `make soak` does ten.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jobs import CLASSES
from toys import ROUNDS

from ialelib.labelling import LabelStore
from ialelib.policy import load_policy
from ialelib.utils import workers

JOBS, PROJECT = Path(__file__).with_name("jobs.py"), Path(__file__).parents[2]
GONE = 10 if ROUNDS > 1 else 60
"""Seconds after which all must have ended; beside other tests a worker may take long to begin."""
rounds = pytest.mark.parametrize("seed", range(ROUNDS))


def begin(job: str, folder: Path) -> subprocess.Popen[str]:
    """Start it, leader of a session of its own; it prints what it has confirmed."""
    return subprocess.Popen(
        [sys.executable, str(JOBS), job, str(folder)],
        env={**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'tests'}"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(job: str, folder: Path) -> float:
    """Let it come to its end: seconds."""
    start = time.monotonic()
    with begin(job, folder) as process:
        process.communicate(timeout=300)
    assert process.returncode == 0
    return time.monotonic() - start


def kill(process: subprocess.Popen[str], whole: bool) -> None:
    """Kill the whole session, or its leader alone; of workers, too, nothing is left."""
    (os.killpg if whole else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + GONE
    while left := members(process.pid):
        assert time.monotonic() < end, f"{left} live on"
        time.sleep(0.05)


def members(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def content(folder: Path) -> dict[str, bytes]:
    """All finished files; names with a dot are of files that were being written."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not path.name.startswith(".")
    }


def shared_by(pids: set[int]) -> list[str]:
    """Folders of shared memory that these processes have left."""
    folders = (workers.SHARED / f"ialelib-{os.getuid()}").glob("joblib_memmapping_folder_*")
    return [folder.name for folder in folders if int(folder.name.split("_")[3]) in pids]


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[dict[str, bytes], float]]:
    """What the jobs give without a kill, and in how many seconds."""
    found = {}
    for job in ("cycles", "training"):
        folder = tmp_path_factory.mktemp(job)
        seconds = finish(job, folder)
        found[job] = content(folder), seconds
    return found


def results(files: dict[str, bytes]) -> dict[str, bytes]:
    """The results; the files beside them hold seconds, which differ from run to run."""
    return {name: files[name] for name in files if Path(name).parent == Path()}


@rounds
@pytest.mark.parametrize("job", ["cycles", "training"])
def test_a_killed_job_goes_on_and_ends_the_same(
    job: str, seed: int, undisturbed: dict[str, tuple[dict[str, bytes], float]], tmp_path: Path
) -> None:
    expected, seconds = undisturbed[job]
    rng, folder = random.Random(f"{job} {seed}"), tmp_path / "killed"
    kills, killed, before = 0, set(), dict[str, bytes]()
    while kills < 2:
        with begin(job, folder) as process:
            try:
                process.wait(timeout=rng.uniform(0.2, 0.9) * seconds)
            except subprocess.TimeoutExpired:
                kill(process, whole=rng.random() < 0.5)
                kills += 1
        killed.add(process.pid)
        now = content(folder)
        assert {name: now[name] for name in before} == before, "what was finished has changed"
        before = now
    finish(job, folder)
    found = content(folder)
    assert results(found) == results(expected)
    assert found.keys() == expected.keys()
    assert not shared_by(killed)


@rounds
def test_no_confirmed_label_is_lost(seed: int, tmp_path: Path) -> None:
    rng, confirmed = random.Random(f"labelling {seed}"), list[int]()
    for wanted in sorted(rng.sample(range(1, 190), 2)):
        with begin("labelling", tmp_path) as process:
            assert process.stdout
            while len(confirmed) < wanted:
                confirmed.append(int(process.stdout.readline()))
            kill(process, whole=True)
            confirmed += [int(line) for line in process.stdout.read().splitlines()]
        store = LabelStore(tmp_path / "labels.db", CLASSES)
        found = store.labelled.tolist()
        assert found[: len(confirmed)] == confirmed
        assert len(found) <= len(confirmed) + 1
        assert store.labels.tolist() == [index % 3 for index in found]
        confirmed = found
    finish("labelling", tmp_path)
    assert LabelStore(tmp_path / "labels.db", CLASSES).labelled.tolist() == list(range(200))


@rounds
def test_a_policy_is_the_old_one_or_the_new_one(seed: int, tmp_path: Path) -> None:
    wanted = random.Random(f"saving {seed}").randrange(1, 290)
    with begin("saving", tmp_path) as process:
        assert process.stdout
        for line in process.stdout:
            if int(line) == wanted:
                break
        kill(process, whole=True)
        last = [wanted, *map(int, process.stdout.read().splitlines())][-1]
    assert load_policy(tmp_path / "policy.safetensors").about["number"] in (last, last + 1)
    assert list(content(tmp_path)) == ["policy.safetensors"]
