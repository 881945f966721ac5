"""Tables made of many independent parts: in parallel, and resumable."""

import hashlib
import inspect
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from joblib import delayed

from ialelib.utils.core import UNKNOWN, core
from ialelib.utils.errors import InputError, Stopped
from ialelib.utils.files import atomic, digest, expanded, finished
from ialelib.utils.machine import commit
from ialelib.utils.progress import progress
from ialelib.utils.workers import parallel

Tasks = Mapping[Path, Callable[[], pd.DataFrame]]
Group = tuple[Tasks, Mapping[str, Any]]
"""Tasks, and columns to add to their tables."""
IMPLICIT = ("__module__", "__dict__", "__weakref__", "__doc__", "__firstlineno__")
SEAL = b"# sha256 "
"""Begins the last line of a finished task's table: the digest of all before it."""
NOT_KEPT = "nothing is kept, as the call names no folder for it."
EXACT = ("accuracy", "score", "seconds", "fit_seconds", "query_seconds")


def run(tasks: Tasks, processes: int, label: str) -> pd.DataFrame:
    """The tables of all tasks, concatenated; each task runs in one process.

    A finished table is the CSV file that names its task, and is read back instead of computed
    again; the name must therefore say all that the table depends on. Its last line is a digest; a
    file that does not fit its digest is set aside, and computed again. Columns `commit` and `core`
    (`core.core`) say which code computed it, as that may have changed between two runs.
    """
    return run_groups([(tasks, {})], processes, label)


def run_groups(groups: Sequence[Group], processes: int, label: str) -> pd.DataFrame:
    """`run` on several groups of tasks at once, with one progress bar."""
    tasks = {path: task for group, _ in groups for path, task in group.items()}
    kept = {path: finished(path, _sealed) for path in tasks}
    found = {path: table for path, table in kept.items() if table is not None}
    todo = {path: task for path, task in tasks.items() if path not in found}
    now = {"commit": commit(), "core": core()} if todo else {}
    calls = (delayed(_make)(path, task, now) for path, task in todo.items())
    made = parallel(processes, len(todo), return_as="generator_unordered")(calls)
    with resumable(next(iter(tasks)).parent):
        for _ in progress(made, len(todo), label):
            pass
    found |= {path: _sealed(path) for path in todo}
    tables = [found[path].assign(**columns) for group, columns in groups for path in group]
    return pd.concat(tables, ignore_index=True)


def _make(path: Path, task: Callable[[], pd.DataFrame], code: Mapping[str, str]) -> None:
    text = task().assign(**code).to_csv(index=False).encode()
    with atomic(path) as temporary:
        temporary.write_bytes(text + SEAL + digest(text).encode() + b"\n")


def _sealed(path: Path) -> pd.DataFrame:
    """The table that `_make` wrote; raises InputError if it is not what was written."""
    text, _, seal = path.read_bytes().rpartition(SEAL)
    if seal != digest(text).encode() + b"\n":
        raise InputError(f"{path} does not fit its digest")
    return _table(text)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table back to the last digit; of an older one commit or core are "unknown"."""
    whole = expanded(path).read_bytes()
    return _table(whole.rpartition(SEAL)[0] or whole)


def _table(text: bytes) -> pd.DataFrame:
    exact = {**dict.fromkeys(EXACT, float), "chosen": str, "commit": str, "core": str}
    table = pd.read_csv(io.BytesIO(text), converters=exact, keep_default_na=False)
    return table.assign(**{name: UNKNOWN for name in ("commit", "core") if name not in table})


@contextmanager
def kept_in(folder: str | Path | None) -> Iterator[Path]:
    """The folder where results are kept, or without one a temporary folder for the block."""
    if folder is not None:
        with resumable(kept := expanded(folder)):
            yield kept
        return
    with tempfile.TemporaryDirectory(prefix="ialelib-") as temporary:
        try:
            yield Path(temporary)
        except KeyboardInterrupt:
            raise Stopped(NOT_KEPT) from None


@contextmanager
def resumable(folder: Path | None) -> Iterator[None]:
    """A block whose interrupt says in a line that what is finished is kept in `folder`, if any."""
    try:
        yield
    except Stopped:
        raise
    except KeyboardInterrupt:
        kept = f"what is finished is kept in {folder}, and the same call goes on from there."
        raise Stopped(kept if folder else NOT_KEPT) from None


def table_file(folder: Path, start: str, about: Mapping[str, Any]) -> Path:
    """The file in `folder` of a table that depends on `about` alone.

    Raises:
        InputError: a name that leads out of the folder.
    """
    if Path(start).name != start:
        raise InputError(f"{start!r} makes no file name; name data sets without / in them")
    return folder / f"{named(start, about)}.csv"


def named(start: str, about: Mapping[str, Any]) -> str:
    """START-DIGEST, where the digest changes with anything in `about` (own objects: `identity`)."""
    text = json.dumps(about, sort_keys=True, default=identity)
    return f"{start}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


def identity(thing: Any) -> str:
    """Name and digest of a function or class: of its source, and of all that it refers to.

    An attribute `cache_key` takes the place of the digest where there is no source to read, or
    where an edit changes nothing.

    Raises:
        InputError: no source code to be found, and no `cache_key`.
    """
    name = getattr(thing, "__name__", type(thing).__name__)
    key = getattr(thing, "cache_key", None)
    if key is None:
        key = hashlib.sha256("\n".join(_sources(thing, set())).encode()).hexdigest()[:10]
    return f"{name}-{key}"


def _sources(thing: Any, seen: set[int]) -> Iterator[str]:
    """Source code of a function or class, and what it refers to: code of the same module, values.

    A class is read member by member, as Python finds no source of classes defined in a notebook.
    """
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if inspect.isclass(thing):
        yield " ".join(base.__name__ for base in thing.__mro__)
        own = [base for base in thing.__bases__ if base.__module__ == thing.__module__]
        members = {name: member for name, member in vars(thing).items() if name not in IMPLICIT}
        referred = {**members, **{base.__name__: base for base in own}}
    else:
        try:
            yield inspect.getsource(thing)
            names = inspect.getclosurevars(thing)
        except (OSError, TypeError) as error:
            raise InputError(
                f"no source code is found for {thing!r}, so its results cannot be told from those "
                "of another one; define it in a file or a notebook cell, or give it a `cache_key`"
            ) from error
        referred = {**names.globals, **names.nonlocals}
    for name, value in sorted(referred.items()):
        code = getattr(value, "fget", getattr(value, "__func__", value))  # properties, methods
        if inspect.isfunction(code) or inspect.isclass(code):
            here = code.__module__ == thing.__module__
            yield from _sources(code, seen) if here else [f"{code.__module__}.{name}"]
        else:
            yield f"{name} {code.__name__ if inspect.ismodule(code) else joblib.hash(code)}"
