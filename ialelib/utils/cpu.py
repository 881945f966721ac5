"""How torch works here: on one thread for small work, in float32, with memory that is kept."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from threading import RLock

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


@contextmanager
def one_thread() -> Iterator[None]:
    """Single-threaded torch inside the block: fastest for small models, and reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Defaults:
    """How many blocks of `float32_on_cpu` are open in all threads, and what to restore."""

    lock, blocks, before = RLock(), 0, torch.float32


@contextmanager
def float32_on_cpu() -> Iterator[None]:
    """New tensors inside the block are float32 on the CPU, whatever defaults the user has set.

    Computing is in float32, too, where the user's code is inside of `torch.autocast`. The default
    type is one for all threads: the last block to end restores it.
    """
    with _Defaults.lock:
        if not _Defaults.blocks:
            _Defaults.before = torch.get_default_dtype()
        _Defaults.blocks += 1
        torch.set_default_dtype(torch.float32)
    # Each call of torch takes longer with a device set.
    elsewhere = torch.get_default_device().type != "cpu"
    try:
        with torch.device("cpu") if elsewhere else nullcontext():
            low = torch.is_autocast_enabled("cpu")
            with torch.autocast("cpu", enabled=False) if low else nullcontext():
                yield
    finally:
        with _Defaults.lock:
            _Defaults.blocks -= 1
            if not _Defaults.blocks:
                torch.set_default_dtype(_Defaults.before)


@contextmanager
def learning() -> Iterator[None]:
    """Gradients are kept inside the block, also where the user has switched them off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@cache
def keep_memory() -> None:
    """Let this process keep freed memory for its next step, where glibc manages it (Linux).

    By default the larger activations go back to the system at every training step, and are mapped
    and zeroed again at the next: a quarter of the time of two busy processes.
    """
    if sys.platform.startswith("linux") and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 2**25)  # the most it takes
        libc.mallopt(M_TRIM_THRESHOLD, 2**26)
