"""Atomic file writes, digests of what is in a file, and where the project is."""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ialelib.utils.errors import InputError

Kept = TypeVar("Kept")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there only if the block succeeds.

    A crash or `kill -9` in the middle leaves `path` as it was, and so does a power cut: data are
    on the disk before they take the name. Missing folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(*parts: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all parts, one after the other."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]


def finished(path: Path, load: Callable[[Path], Kept]) -> Kept | None:
    """What an earlier run left in a file; None where it is to be made, or made again.

    A file that `load` refuses with InputError, as it is damaged, is set aside with a warning.
    """
    if not path.exists():
        return None
    try:
        return load(path)
    except InputError:
        aside = path.with_name(f"{path.name}.damaged")
        os.replace(path, aside)
        warnings.warn(f"{path} is damaged: kept as {aside.name}, and made again", stacklevel=2)
        return None


def project() -> Path:
    """Top folder of the checkout, from any folder inside it; else the current folder."""
    here = Path.cwd()
    inside = (p for p in (here, *here.parents) if (p / "notebooks/00_index.ipynb").exists())
    return next(inside, here)
