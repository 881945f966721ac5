"""Tensors in a safetensors file, with a digest of them and of what is said of them."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ialelib.utils.files import atomic, digest

DIGEST = "digest"


class DamagedError(Exception):
    """A file that is no safetensors file, or whose content is not what was written."""


def save(tensors: Mapping[str, Tensor], header: Mapping[str, str], path: str | Path) -> None:
    """Write tensors and texts; both come back by `load`."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(whole, temporary, {**header, DIGEST: _digest(whole, header)})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts of a file.

    Raises:
        DamagedError: with the reason; also for a file without a digest.
    """
    try:
        with safe_open(path, "pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise DamagedError(str(error)) from error
    if header.pop(DIGEST, None) != _digest(tensors, header):
        raise DamagedError("its digest is missing, or not that of its content")
    return tensors, header


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    parts = [repr(sorted(header.items())).encode()]
    for name, tensor in sorted(tensors.items()):
        parts.append(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        parts.append(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest(*parts)
