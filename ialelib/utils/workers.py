"""What does not outlive a process: its workers, their shared memory, its temporary files."""

import atexit
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any

from joblib import Parallel

from ialelib.utils import progress
from ialelib.utils.checks import check_count

SHARED = Path("/dev/shm")
"""Where memory is a folder, on systems that have it."""


def parallel(processes: int, tasks: int | None = None, **options: Any) -> Parallel:
    """joblib's `Parallel`, whose workers end with this process, and share arrays in our own folder.

    What killed runs have left there is removed, by the first call of a process. Ctrl-C is for the
    calling process alone, which ends its workers. There are no more workers than `tasks`.
    """
    check_count("processes", processes)
    workers = processes if tasks is None else min(processes, max(1, tasks))
    base = SHARED if os.access(SHARED, os.W_OK) else Path(tempfile.gettempdir())
    own = {"temp_folder": str(_swept(base)), "initializer": _begin}
    return Parallel(workers, backend="loky", initargs=(progress.watched(),), **own, **options)


def _begin(seen: bool) -> None:
    """In a new worker: Ctrl-C is not for it, and `seen` tells who reads what it prints."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    progress.SEEN.append(seen)
    end_with_parent()


@cache
def temporary_folder() -> Path:
    """A folder that is removed when this process ends; after a kill, by the next that asks."""
    start = f"ialelib-{os.getuid()}-"
    for left in Path(tempfile.gettempdir()).glob(f"{start}*"):
        if not _alive(int(left.name.split("-")[2])):
            shutil.rmtree(left, ignore_errors=True)
    made = tempfile.TemporaryDirectory(prefix=f"{start}{os.getpid()}-")
    atexit.register(made.cleanup)
    return Path(made.name)


@cache
def _swept(base: Path) -> Path:
    folder = base / f"ialelib-{os.getuid()}"
    for left in folder.glob("joblib_memmapping_folder_*"):
        if not _alive(int(left.name.split("_")[3])):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def end_with_parent() -> None:
    """Let this worker process end within a second of its parent, however the parent ends.

    joblib's workers would finish their task, or wait for a first one, and live on for five minutes
    with all their memory, while the same command, started again, works on the same.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:  # which may have ended by now
        threading.Thread(target=_watch, args=[parent.pid], daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
