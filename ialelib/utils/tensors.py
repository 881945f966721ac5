"""Tensors in a safetensors file, with a digest of them and of what is said of them."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ialelib.utils.files import atomic, digest

ABOUT = "ialelib"
"""The only text of the file's own header: of several, the format keeps no order."""


class DamagedError(Exception):
    """A file that is no safetensors file, or whose content is not what was written."""


def save(tensors: Mapping[str, Tensor], header: Mapping[str, str], path: str | Path) -> None:
    """Write tensors and texts, which come back by `load`: the same ones as the same bytes."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        about = {"digest": _digest(whole, header), "header": dict(header)}
        save_file(whole, temporary, {ABOUT: json.dumps(about, sort_keys=True)})


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and texts of a file.

    Raises:
        DamagedError: with the reason; also for a file without a digest.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = about.get("header", {})
        whole = about.get("digest") == _digest(tensors, header)
    except (SafetensorError, AttributeError, ValueError, RuntimeError, OSError) as error:
        raise DamagedError(str(error)) from error
    if not whole:
        raise DamagedError("its digest is missing, or not that of its content")
    return tensors, header


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    parts = [repr(sorted(header.items())).encode()]
    for name, tensor in sorted(tensors.items()):
        parts.append(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        parts.append(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest(*parts)
