"""Rows of values in memory or in files, read in chunks."""

import mmap

import numpy as np
import torch
from torch import Tensor

from ialelib.utils.checks import check_unmasked
from ialelib.utils.errors import InputError

Rows = Tensor | np.ndarray
"""N rows of values: a tensor, or a NumPy array, which may be memory-mapped."""

EVERY = slice(None)
SCATTERED = 64
"""Rows of a mapped file that are read at a time where they do not lie side by side."""


def read(
    rows: Rows, which: slice | np.ndarray = EVERY, dtype: torch.dtype | None = torch.float32
) -> Tensor:
    """The rows of a slice or of some positions, as a tensor in memory that needs no gradient.

    `dtype` None keeps the type of the values.

    Raises:
        InputError: values of a type that torch does not have, such as NumPy's longdouble.
    """
    if isinstance(rows, Tensor):
        return rows[which].detach().to("cpu", dtype)
    check_unmasked("an array", rows)
    # A copy, in the processor's byte order: torch must not write to a file.
    native = rows.dtype.newbyteorder("=")
    if isinstance(which, slice) or not isinstance(rows, np.memmap):
        found = np.array(rows[which], dtype=native)
        _release(rows)
    else:
        found = np.empty((len(which), *rows.shape[1:]), native)
        for start in range(0, len(which), SCATTERED):
            found[start : start + SCATTERED] = rows[which[start : start + SCATTERED]]
            _release(rows)
    try:
        return torch.from_numpy(found).to(dtype)
    except TypeError as error:
        raise InputError(
            f"torch has no {native}: convert the values first, by .astype(numpy.float32)"
        ) from error


def _release(rows: np.ndarray) -> None:
    """Give what was read of a mapped file back to the system, where it can (not on Windows).

    Else it counts as memory of this process, and around each row a megabyte or two with it.
    """
    if isinstance(rows, np.memmap) and rows.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
        vars(rows)["_mmap"].madvise(mmap.MADV_DONTNEED)
