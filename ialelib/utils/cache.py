"""Tables made of many independent parts: in parallel, and resumable."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from ialelib.utils.files import atomic
from ialelib.utils.machine import commit
from ialelib.utils.progress import progress
from ialelib.utils.workers import end_with_parent

Tasks = Mapping[Path, Callable[[], pd.DataFrame]]
Group = tuple[Tasks, Mapping[str, Any]]
"""Tasks, and columns to add to their tables."""


def run(tasks: Tasks, processes: int, label: str) -> pd.DataFrame:
    """The tables of all tasks one below the other, each task in one process.

    A finished table is the CSV file that names its task, and is read back instead of made again;
    the name must therefore say all that the table depends on. A column `commit` says which code
    made it, as that may have changed between two runs.
    """
    return run_groups([(tasks, {})], processes, label)


def run_groups(groups: Sequence[Group], processes: int, label: str) -> pd.DataFrame:
    """`run` on several groups of tasks at once, with one progress bar."""
    todo = {path: task for tasks, _ in groups for path, task in tasks.items() if not path.exists()}
    now = commit()
    calls = (delayed(_make)(path, task, now) for path, task in todo.items())
    made = Parallel(processes, return_as="generator_unordered")(calls)
    for _ in progress(made, len(todo), label):
        pass
    tables = [read(path).assign(**columns) for tasks, columns in groups for path in tasks]
    return pd.concat(tables, ignore_index=True)


def file_name(start: str, about: Mapping[str, Any]) -> str:
    """START-DIGEST.csv, where the digest changes with anything in `about`."""
    return f"{named(start, about)}.csv"


def named(start: str, about: Mapping[str, Any]) -> str:
    """START-DIGEST, as in `file_name`."""
    text = json.dumps(about, sort_keys=True)
    return f"{start}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def _make(path: Path, task: Callable[[], pd.DataFrame], commit: str) -> None:
    end_with_parent()
    table = task().assign(commit=commit)
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


EXACT = ("accuracy", "score", "seconds", "fit_seconds", "query_seconds")


def read(path: Path) -> pd.DataFrame:
    """Read a table back to the last digit; an older one was made by an "unknown" commit."""
    exact = {**dict.fromkeys(EXACT, float), "chosen": str, "commit": str}
    table = pd.read_csv(path, converters=exact, keep_default_na=False)
    return table if "commit" in table else table.assign(commit="unknown")
