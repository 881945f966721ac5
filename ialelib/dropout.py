"""Dropout with masks from bit operations on random words, and where these come from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

Noise = torch.Generator | np.random.BitGenerator
"""Where random bits come from. On the CPU those of NumPy are several times as fast as torch's."""

INTEGER = {
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


class Dropout(nn.Dropout):
    """Dropout of rows of `features` numbers, with masks from bit operations on random words.

    On a CPU `nn.Dropout` takes a quarter of the training time of a small CNN. `given`, where set,
    is the mask to use instead of a fresh one.
    """

    def __init__(self, p: float, features: int) -> None:
        super().__init__(p)
        self.features = features
        self.given: Tensor | None = None

    def lanes(self, batch: int, generator: Noise | None = None) -> Tensor:
        """batch x features times 16 random bits, int16."""
        size = batch * self.features
        if isinstance(generator, np.random.BitGenerator):
            lanes = torch.from_numpy(generator.random_raw(-(-size // 4)).view(np.int16))
        else:
            device = generator.device if generator else "cpu"
            words = torch.empty(-(-size // 4), dtype=torch.int64, device=device)
            lanes = words.random_(-(2**63), None, generator=generator).view(torch.int16)
        return lanes[:size].view(batch, self.features)

    def mask(self, batch: int, dtype: torch.dtype, generator: Noise | None = None) -> Tensor:
        """batch x features numbers: 0 with probability p (to 2^-15), else 1 / (1 - p)."""
        lanes = self.lanes(batch, generator)
        # 15 random bits, less the threshold: the sign says whether to drop.
        lanes = lanes.bitwise_right_shift_(1).sub_(round((self.p - 0.5) * 2**15))
        keep = lanes.bitwise_right_shift_(15).bitwise_not_()
        bits = torch.tensor(1 / (1 - self.p), dtype=dtype).view(INTEGER[dtype])
        return keep.to(INTEGER[dtype]).bitwise_and_(int(bits)).view(dtype)

    def factor(self, batch: int, dtype: torch.dtype) -> Tensor | None:
        """The mask to use, `given` or a fresh one; None where nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        return self.mask(batch, dtype) if self.given is None else self.given

    @override
    def forward(self, input: Tensor) -> Tensor:
        factor = self.factor(len(input), input.dtype)
        return input if factor is None else input * factor.to(input.device)


@contextmanager
def given_masks(drops: Sequence[Dropout], masks: Sequence[Tensor]) -> Iterator[None]:
    """These masks, one for each dropout layer, inside the block; fresh ones again after it."""
    for drop, mask in zip(drops, masks, strict=True):
        drop.given = mask
    try:
        yield
    finally:
        for drop in drops:
            drop.given = None
