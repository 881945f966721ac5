"""Rows of values in memory or in files, read in chunks."""

import mmap

import numpy as np
import torch
from torch import Tensor

Rows = Tensor | np.ndarray
"""N rows of values: a tensor, or a NumPy array, which may be memory-mapped."""

EVERY = slice(None)


def read(
    rows: Rows, which: slice | np.ndarray = EVERY, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The rows of a slice or of some positions, as a tensor in memory."""
    piece = rows[which]
    if not isinstance(piece, Tensor):
        # A copy, in the processor's byte order: torch must not write to a file.
        piece = torch.from_numpy(np.array(piece, dtype=piece.dtype.newbyteorder("=")))
        _release(rows)
    return piece.to("cpu", dtype)


def _release(rows: Rows) -> None:
    """Give what was read of a mapped file back to the system, where it can (not on Windows).

    Else all of a large file that is read in pieces would count as memory of this process.
    """
    if isinstance(rows, np.memmap) and rows.mode == "r" and hasattr(mmap, "MADV_DONTNEED"):
        vars(rows)["_mmap"].madvise(mmap.MADV_DONTNEED)
