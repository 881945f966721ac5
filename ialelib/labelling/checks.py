"""What a list of classes, images and indices must be before anything is labelled."""

import zlib
from collections.abc import Sequence

import numpy as np

from ialelib.utils.errors import InputError


def fingerprint(pool: np.ndarray) -> str:
    """8 hexadecimal digits that change with any image or with the shape."""
    shape = zlib.crc32(str((pool.shape, pool.dtype.str)).encode())
    return f"{zlib.crc32(np.ascontiguousarray(pool).data, shape):08x}"


def check_classes(classes: Sequence[str]) -> list[str]:
    """The class names as a list; raises InputError if there is none, an empty one or one twice."""
    names = [] if isinstance(classes, str) else list(classes)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise InputError(f"classes must be a list of at least one name, not {classes!r}")
    if len(set(names)) < len(names):
        raise InputError(f"two classes have the same name: {', '.join(sorted(names))}")
    return names


def check_indices(what: str, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    """The indices as int64; raises InputError unless they are different whole numbers from 0."""
    array = np.asarray(indices)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise InputError(f"{what} must be a list of image indices, not {indices!r:.80}")
    if array.size and array.min() < 0:
        raise InputError(f"{what} holds the index {array.min()}; they count from 0")
    if len(np.unique(array)) < len(array):
        raise InputError(f"{what} holds the same image twice")
    return array.astype(np.int64)


def check_images(images_N: np.ndarray) -> None:
    """Raises InputError unless they are uint8, N x H x W or N x H x W x 3, and at least one."""
    kind = getattr(images_N, "dtype", type(images_N).__name__)
    shape = tuple(getattr(images_N, "shape", ()))  # np.shape would read a whole Dataset
    if kind != np.uint8 or len(shape) not in (3, 4) or shape[3:] not in ((), (3,)) or 0 in shape:
        raise InputError(
            f"images must be uint8, N x H x W or N x H x W x 3, not {kind} of shape {shape}"
        )


def check_known(
    labelled: Sequence[int] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    images: int,
    classes: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Both as int64, each of length L.

    Raises:
        InputError: of different lengths, an index outside the pool or twice, an unknown class.
    """
    indices, numbers = check_indices("labelled", labelled), np.asarray(labels)
    if indices.size and indices.max() >= images:
        raise InputError(f"labelled holds the index {indices.max()}; the pool has {images} images")
    if numbers.shape != indices.shape:
        raise InputError(f"labelled has {len(indices)} images, but labels has {numbers.size}")
    if numbers.size and not np.issubdtype(numbers.dtype, np.integer):
        raise InputError(f"labels must be class numbers, not {numbers.dtype} values")
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < classes:
        raise InputError(f"labels must lie between 0 and {classes - 1}, the last class")
    return indices, numbers.astype(np.int64)


def check_chosen(
    chosen: Sequence[int] | np.ndarray, batch: int, images: int, labelled: np.ndarray
) -> np.ndarray:
    """The first `batch` of what choose() returned, as int64.

    Raises:
        InputError: no indices, none, one outside the pool, twice, or of a labelled image.
    """
    indices = check_indices("choose()'s batch", chosen)[:batch]
    if not indices.size:
        raise InputError("choose() returned no image")
    if indices.max() >= images:
        raise InputError(f"choose() returned image {indices.max()}; the pool has {images} images")
    if len(again := np.intersect1d(indices, labelled)):
        raise InputError(f"choose() returned image {again[0]}, which is labelled already")
    return indices
