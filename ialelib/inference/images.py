"""Images in an array, a tensor, a `Dataset` or files: how many there are, and some of them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset
from typing_extensions import override

from ialelib.utils.checks import check_count, check_list
from ialelib.utils.errors import InputError
from ialelib.utils.files import expanded
from ialelib.utils.rows import read

Images = np.ndarray | Tensor | Dataset[Any]
KINDS = ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"
"""How the names of image files end."""


@dataclass(frozen=True)
class Files(Dataset[np.ndarray]):
    """Image files, each read when it is asked for: uint8, side x side x 3, upright.

    Raises:
        InputError: a file that holds no image of 8 bits a channel, when it is read.
    """

    paths: tuple[Path, ...]
    side: int

    def __len__(self) -> int:
        return len(self.paths)

    @override
    def __getitem__(self, index: int) -> np.ndarray:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
                if deep or image.mode.startswith(("I", "F")):  # values are cut off at 255
                    raise InputError(f"{path} has more than 8 bits a channel; convert it to 8 bits")
                upright = ImageOps.exif_transpose(image).convert("RGB")
        except InputError:
            raise
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{path} is no readable image ({error}); put a good copy in its place, or leave it "
                "out"
            ) from error
        size = self.side, self.side
        return np.array(upright.resize(size, Image.Resampling.BILINEAR))


def images_from(where: str | Path | Iterable[str | Path], size: int = 224) -> Files:
    """A pool of image files: `where` is their folder, with all folders in it, or their paths.

    Image i is `paths[i]` of what is returned; those of a folder are sorted. All are resized to
    `size` x `size` pixels (bilinear), in RGB, when they are read.

    Raises:
        InputError: no such folder or file, or no image in it; a size below 1.
    """
    check_count("size", size)
    if isinstance(where, str | Path):
        folder = expanded(where)
        if not os.path.isdir(folder):
            raise InputError(f"there is no folder {folder}; give a folder, or a list of paths")
        found = (path.relative_to(folder) for path in folder.rglob("*"))
        shown = (path for path in found if not any(part.startswith(".") for part in path.parts))
        paths = [folder / path for path in sorted(shown) if path.suffix.lower() in KINDS]
    else:
        check_list("images", where)
        paths = [expanded(path) for path in where]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(paths)} paths are no files, the first {missing[0]}: correct "
            "them, or leave them out"
        )
    if not paths:
        raise InputError(f"no images in {where}: their names must end in {', '.join(KINDS)}")
    return Files(tuple(paths), int(size))


def length(images: Images) -> int:
    """Number of images.

    Raises:
        InputError: something that has no length, or cannot be indexed by position.
    """
    unordered = isinstance(images, IterableDataset | Mapping)
    if unordered or not hasattr(images, "__getitem__"):
        raise InputError(
            "images must be an array, a tensor or a Dataset that can be indexed by position, from "
            f"0, not {type(images).__name__}"
        )
    try:
        return len(images)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError("images must have a length") from error


def rows(images: Images, indices: np.ndarray) -> Tensor:
    """The images at these positions, on the CPU, of the values and the shape that the user gives.

    What pandas would look up by label is read by position, too.

    Raises:
        InputError: a data set of other things than tensors or arrays of one size; as `rows.read`.
    """
    if isinstance(images, Tensor | np.ndarray) and images.dtype != object:
        return read(images, indices, dtype=None)
    by_position = getattr(images, "iloc", images)
    items = [by_position[int(index)] for index in indices]
    found = [item[0] if isinstance(item, tuple | list) else item for item in items]
    for image in found:
        if not isinstance(image, Tensor | np.ndarray):
            raise InputError(
                f"the data set gives {type(image).__name__}, not a tensor or an array; give it a "
                "transform, such as torchvision's ToTensor(), or all images as one array; files "
                "are read by inference.images_from"
            )
    if len({image.shape for image in found}) > 1:
        raise InputError(
            "the data set's images differ in size; give it a transform that resizes them"
        )
    return torch.cat([read(image[None], dtype=None) for image in found])
