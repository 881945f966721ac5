"""Images in an array, a tensor or a `Dataset`: how many there are, and some of them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from ialelib.utils.errors import InputError
from ialelib.utils.rows import read

Images = np.ndarray | Tensor | Dataset[Any]


def length(images: Images) -> int:
    """Number of images.

    Raises:
        InputError: something that has no length or cannot be indexed.
    """
    if isinstance(images, IterableDataset) or not hasattr(images, "__getitem__"):
        raise InputError("images must be an array, a tensor or a Dataset that can be indexed")
    try:
        return len(images)  # type: ignore[arg-type]
    except TypeError as error:
        raise InputError("images must have a length") from error


def rows(images: Images, indices: np.ndarray) -> Tensor:
    """The images at these positions, on the CPU, of the values and the shape that the user gives.

    Raises:
        InputError: a data set of other things than tensors or arrays of one size; as `rows.read`.
    """
    if isinstance(images, Tensor | np.ndarray):
        return read(images, indices, dtype=None)
    items = [images[int(index)] for index in indices]
    found = [item[0] if isinstance(item, tuple | list) else item for item in items]
    for image in found:
        if not isinstance(image, Tensor | np.ndarray):
            raise InputError(
                f"the data set gives {type(image).__name__}, not a tensor or an array; give it a "
                "transform, such as torchvision's ToTensor()"
            )
    if len({image.shape for image in found}) > 1:
        raise InputError(
            "the data set's images differ in size; give it a transform that resizes them"
        )
    return torch.stack([torch.as_tensor(image).detach().cpu() for image in found])
