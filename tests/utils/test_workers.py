"""Worker processes that joblib replaces."""

import builtins
import os
import time

import numpy as np
from joblib import Parallel, delayed


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
