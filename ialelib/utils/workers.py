"""Worker processes that do not outlive the one they work for."""

import multiprocessing
import os
import threading
import time
from functools import cache


@cache
def end_with_parent() -> None:
    """Let this worker process end within a second of its parent, however the parent ends.

    joblib's workers would finish their task and then wait for five minutes with all their memory,
    while the same command, started again, works on the same. Does nothing in a main process.
    """
    if multiprocessing.parent_process() is not None:
        threading.Thread(target=_watch, args=[os.getppid()], daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
