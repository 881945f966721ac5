"""The lock of a batch: it refuses or waits, and needs nobody to clean up."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ialelib.runner.lock import hold
from ialelib.utils.errors import InputError

SLEEP = "import time; time.sleep(20)"
CHILD = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}])"


def holder(path: Path, script: str) -> "subprocess.Popen[str]":
    """A command with the lock, that has begun when this returns."""
    command = [sys.executable, "-m", "ialelib.runner.lock", str(path)]
    script += f"; print(1, flush=True); {SLEEP}"
    process = subprocess.Popen(
        [*command, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    return process


def test_the_lock_is_free_again_after_the_block(tmp_path: Path) -> None:
    with hold(tmp_path / "lock"):
        pass
    with hold(tmp_path / "lock"), pytest.raises(InputError, match=rf"process {os.getpid()}\)"):
        hold(tmp_path / "lock").__enter__()


def test_the_command_itself_holds_the_lock_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "lock"
    process = holder(path, "pass")
    with pytest.raises(InputError, match=rf"another batch .* \(process {process.pid}\)"):
        hold(path).__enter__()
    process.kill()
    process.communicate()
    with hold(path):
        pass


def test_children_of_a_killed_command_do_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = holder(path, CHILD)
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    with hold(path):
        pass


def test_a_second_command_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    command = [sys.executable, "-m", "ialelib.runner.lock", str(path), "echo", "ran"]
    with hold(path):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: another batch is at work in this folder")
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"ran\n"


def test_whoever_waits_gets_the_lock_in_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lock"
    script = "import time; time.sleep(1); raise SystemExit"
    process = subprocess.Popen(
        [sys.executable, "-m", "ialelib.runner.lock", str(path), sys.executable, "-c", script]
    )
    while not path.exists() or not path.read_text():
        time.sleep(0.01)
    with hold(path, wait=True):
        assert process.wait(10) == 0
    assert f"waiting for process {process.pid}" in capsys.readouterr().err


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, time, sys\nfrom joblib import delayed\n"
        "from ialelib.utils.workers import parallel\n"
        "def work(path):\n    open(f'{path}/{os.getpid()}', 'w').close()\n    time.sleep(60)\n"
        "if __name__ == '__main__': parallel(2)(delayed(work)(sys.argv[1]) for _ in range(2))\n"
    )
    (tmp_path / "noted").mkdir()
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", tmp_path / "noted"])
    while len(list((tmp_path / "noted").iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.05)
    workers = [int(path.name) for path in (tmp_path / "noted").iterdir()]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until = time.monotonic() + 30
    while any(at_work(pid) for pid in workers):
        assert time.monotonic() < until, "a worker outlives its parent"
        time.sleep(0.1)


def at_work(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_main_process_does_not_end_with_its_parent() -> None:
    script = "from ialelib.utils.workers import end_with_parent as e; import threading; e()"
    script += "; print(threading.active_count())"
    assert subprocess.check_output([sys.executable, "-c", script]) == b"1\n"
