"""Atomic file writes, digests, paths as users give them, and where the project is."""

import hashlib
import os
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from platformdirs import user_cache_dir

from ialelib.utils.errors import InputError

Kept = TypeVar("Kept")
MARK = ".ialelib-"
"""In the names of files that are being written."""
FORGOTTEN = 60.0  # seconds


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there only if the block succeeds.

    A crash or `kill -9` in the middle leaves `path` as it was, and so does a power cut: data are
    on the disk before they take the name. Missing folders are created. What killed writes have left
    in the folder is removed. Modes follow the umask; a symbolic link stays, and what it leads to is
    written.
    """
    path = real(path)
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; name a file in it")
    with beside(path) as temporary:
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some writers exchange the file
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new file in the folder of `path` for the block; missing folders are created.

    Raises:
        InputError: the folder takes no files.
    """
    temporary = path.with_name(f".{path.name}{MARK}{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); name a folder that takes files"
        ) from None
    try:
        yield temporary
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
        warnings.warn(set_aside(path), stacklevel=2)
        return None


def set_aside(path: Path) -> str:
    """Rename what is damaged, so that it is made again; the sentence that says so."""
    names = (f"{path.name}.damaged{number or ''}" for number in count())
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    os.replace(path, aside)
    return f"{path} is damaged: kept as {aside.name}, and made again"


def _sweep(folder: Path) -> None:
    """Remove files that were being written when their process was killed."""
    for left in folder.glob(f".*{MARK}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                left.unlink()


def expanded(path: str | Path) -> Path:
    """A path as users write it, with `~` for the home folder.

    Raises:
        InputError: no path, or no such home folder is known.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"a file or folder is named by a string or a Path, not by {path!r}")
    try:
        if "\0" in os.fspath(path):
            raise InputError(f"no file or folder can have that name: {path!r}")
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"no home folder is known for {path}: set HOME, or write the path in full"
        ) from None


def user_cache() -> Path:
    """The user's folder for what can be made again; it need not be there.

    Raises:
        InputError: no home folder is known.
    """
    try:
        return expanded(user_cache_dir("ialelib"))
    except RuntimeError:
        raise InputError(
            "no home folder is known, so there is no cache: set HOME or XDG_CACHE_HOME"
        ) from None


def real(path: str | Path) -> Path:
    """The file that a path leads to through symbolic links, also where it is not there yet."""
    return Path(os.path.realpath(expanded(path)))


def project() -> Path:
    """Top folder of the checkout that the current folder lies in, or else this package.

    The current folder where neither does.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:  # somebody has removed it
        here = Path()
    tops = (here, *here.parents, Path(__file__).parents[2])
    return next(filter(is_checkout, tops), here)


def is_checkout(folder: Path) -> bool:
    """Whether it is the top folder of a checkout of this project."""
    # Unlike pathlib, os.path takes what must not be looked into for what is not there.
    return os.path.exists(folder / "notebooks" / "00_index.ipynb")
