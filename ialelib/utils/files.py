"""Atomic file writes, and where the project is."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there only if the block succeeds.

    A crash or `kill -9` in the middle leaves `path` as it was. Missing folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def project() -> Path:
    """Top folder of the checkout, from any folder inside it; else the current folder."""
    here = Path.cwd()
    inside = (p for p in (here, *here.parents) if (p / "notebooks/00_index.ipynb").exists())
    return next(inside, here)
