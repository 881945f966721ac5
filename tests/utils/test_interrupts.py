"""An interrupt in a notebook: a line that says what is kept, and no worker left."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from ialelib.utils import cache, workers
from ialelib.utils.errors import Stopped

TASKS = """
import time
from pathlib import Path
import pandas as pd
from ialelib.utils import cache

folder = Path({folder!r})

def task(name):
    (folder / f"{{name}}.begun").touch()
    time.sleep(0 if name == "first" else 60)
    return pd.DataFrame({{"name": [name]}})

tasks = {{folder / f"{{n}}.csv": (lambda n=n: task(n)) for n in ("first", "second", "third")}}
"""
TRAIN = """
import ialelib as iale
data = iale.load_data("mnist-10k")
cycle = iale.CycleConfig(classifier="mlp", initial=20, budget=4000, acq=10)
config = iale.DaggerConfig(cycle=cycle, experts=("entropy",), episodes=1, validation=100)
"""


@pytest.fixture
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    manager, client = start_new_kernel(env=env)
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def interrupted(
    kernel: tuple[KernelManager, BlockingKernelClient], before: str, cell: str, begun: list[Path]
) -> tuple[list[str], str]:
    """What a cell shows when it is interrupted, once these files are there: errors, and prints."""
    manager, client = kernel
    assert client.execute_interactive(before, timeout=120)["content"]["status"] == "ok"
    # JupyterLab's own button interrupts the process group: workers get the signal, too.
    request = client.execute(cell)
    until = time.monotonic() + 120
    while not all(path.exists() for path in begun):
        assert time.monotonic() < until
        time.sleep(0.05)
    manager.interrupt_kernel()
    errors: list[str] = []
    printed = ""
    while True:
        message = client.get_iopub_msg(timeout=60)
        content = message["content"]
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "error":
            errors += content["traceback"]
        elif message["msg_type"] == "stream":
            printed += content["text"]
        elif content.get("execution_state") == "idle":
            return errors, printed


def test_it_is_one_line_without_the_tracebacks_of_workers(
    kernel: tuple[KernelManager, BlockingKernelClient], tmp_path: Path
) -> None:
    manager, client = kernel
    begun = [tmp_path / "first.csv", tmp_path / "second.begun", tmp_path / "third.begun"]
    before = TASKS.format(folder=str(tmp_path))
    errors, printed = interrupted(kernel, before, "cache.run(tasks, 2, 'tasks')", begun)
    sentence = f"what is finished is kept in {tmp_path}, and the same call goes on from there."
    assert errors == [f"Stopped: {sentence}"]
    assert "Traceback" not in printed
    assert (tmp_path / "first.csv").exists()
    top = psutil.Process(manager.provisioner.pid)  # type: ignore[union-attr]
    until = time.monotonic() + 10
    while [child for child in top.children(recursive=True) if "popen_loky" in str(child.cmdline())]:
        assert time.monotonic() < until, "a worker is left"
        time.sleep(0.1)
    # The kernel works on, with new workers, and does not compute the finished one again.
    (tmp_path / "first.begun").unlink()
    again = "time.sleep = lambda seconds: None\ntable = cache.run(tasks, 1, 'tasks')"
    assert client.execute_interactive(again, timeout=60)["content"]["status"] == "ok"
    assert not (tmp_path / "first.begun").exists()


def test_it_is_one_line_in_the_training_of_a_policy(
    kernel: tuple[KernelManager, BlockingKernelClient], tmp_path: Path
) -> None:
    folder, note = str(tmp_path), str(tmp_path / "begun")
    cell = f"open({note!r}, 'w').close(); iale.train_policy(data, config, {folder!r})"
    errors, printed = interrupted(kernel, TRAIN, cell, [tmp_path / "begun"])
    (line,) = errors
    assert line.startswith(f"Stopped: what is finished is kept in {tmp_path}")
    assert "Traceback" not in printed


def test_without_a_folder_it_says_that_nothing_is_kept() -> None:
    with pytest.raises(Stopped, match="nothing is kept"), cache.kept_in(None) as folder:
        raise KeyboardInterrupt
    assert not folder.exists()
    with pytest.raises(ValueError, match="other"), cache.kept_in("x"):
        raise ValueError("other errors pass")


def ignored(task: int) -> bool:
    import signal

    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_workers_leave_interrupts_to_the_one_they_work_for() -> None:
    from joblib import delayed

    assert workers.parallel(2)(delayed(ignored)(task) for task in range(2)) == [True, True]
    assert workers.parallel(1)(delayed(ignored)(task) for task in range(2)) == [False, False]
