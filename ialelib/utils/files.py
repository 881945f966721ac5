"""Atomic file writes, paths as users give them, and where the project is."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ialelib.utils.errors import InputError

MARK = ".ialelib-"
"""In the names of files that are being written."""
FORGOTTEN = 60.0  # seconds


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there only if the block succeeds.

    A crash or `kill -9` in the middle leaves `path` as it was. Missing folders are created. What
    killed writes have left in the folder is removed. Modes follow the umask; a symbolic link stays,
    and what it leads to is written.
    """
    path = real(path)
    with beside(path) as temporary:
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some writers exchange the file
        os.replace(temporary, path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new file in the folder of `path` for the block; missing folders are created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent)
    temporary = path.with_name(f".{path.name}{MARK}{secrets.token_hex(4)}{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove files that were being written when their process was killed."""
    for left in folder.glob(f".*{MARK}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                left.unlink()


def expanded(path: str | Path) -> Path:
    """A path as users write it, with `~` for the home folder.

    Raises:
        InputError: no such home folder is known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"no home folder is known for {path}: set HOME, or write the path in full"
        ) from None


def real(path: str | Path) -> Path:
    """The file that a path leads to through symbolic links, also where it is not there yet."""
    return Path(os.path.realpath(expanded(path)))


def project() -> Path:
    """Top folder of the checkout, from any folder inside it; else the current folder."""
    here = Path.cwd()
    inside = (p for p in (here, *here.parents) if (p / "notebooks/00_index.ipynb").exists())
    return next(inside, here)
