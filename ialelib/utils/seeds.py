"""Independent random streams from one seed."""

import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from ialelib.utils.errors import InputError


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for the stream named by `path`, e.g. `derive(3, "weights")`.

    Streams of different names are independent, so one strategy drawing more numbers than another
    never shifts the split, the initial weights or the sub-pools that both must share.

    Raises:
        InputError: a seed that is no whole number from 0.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seeds are whole numbers from 0, not {seed!r}")
    words = [zlib.crc32(str(part).encode()) for part in path]
    state = np.random.SeedSequence([seed, *words]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """NumPy generator of the stream named by `path`."""
    return np.random.default_rng(derive(seed, *path))


@contextmanager
def seeded(seed: int, gpus: Collection[torch.device] = ()) -> Iterator[None]:
    """torch's generators begin at that seed inside the block, and go on as before after it.

    That of the CPU, and of these `gpus`: `torch.manual_seed` would also set those of every other
    one, which may be in use.
    """
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
