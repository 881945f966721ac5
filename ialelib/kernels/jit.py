"""How kernels are compiled, and where compiled code is kept.

Numba compiles a kernel anew when its own file has changed, but not when one that it calls has. So
the code is kept in a folder that is named by a digest of all files of this package.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

from ialelib.utils.errors import InputError
from ialelib.utils.files import expanded, user_cache


def digest(folder: Path) -> str:
    """16 hexadecimal digits that change with any Python file in a folder."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]


def cache_folder() -> str | None:
    """Where to keep compiled code: in the user's cache, or in `NUMBA_CACHE_DIR` where that is set.

    None, with a warning, where it cannot be written, or no home folder is known.
    """
    try:
        top = vars(config)["CACHE_DIR"] or user_cache() / "kernels"
        folder = expanded(Path(top, digest(Path(__file__).parent))).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, InputError) as error:
        warnings.warn(
            f"compiled code cannot be kept, so every process compiles anew ({error}); "
            "set NUMBA_CACHE_DIR to a folder that can be written",
            stacklevel=2,
        )
        return None
    return str(folder)


FOLDER = cache_folder()


def first() -> bool:
    """Whether no process has begun to compile this code, or asked, for all are to say so once."""
    try:
        if FOLDER is not None:
            Path(FOLDER, "begun").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def kernel(function: Callable[..., Any]) -> Any:
    """Decorator: a function compiled for the CPU, without checks of bounds.

    Sums may be reordered, at compile time, and products fused with them; nothing else.
    """
    # Numba reads where to keep code while it decorates; code of others is none of our business.
    ours = {"CACHE_DIR": FOLDER, "CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    before = {name: getattr(config, name, "") for name in ours}
    vars(config).update(ours)
    try:
        return njit(
            cache=FOLDER is not None,
            nogil=True,
            boundscheck=False,
            error_model="numpy",
            fastmath={"contract", "reassoc"},
        )(function)
    finally:
        vars(config).update(before)
