"""Rows of values in memory or in files, read in chunks."""

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
    return piece.to("cpu", dtype)
