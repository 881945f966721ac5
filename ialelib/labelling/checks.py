"""What a list of classes, images and indices must be before anything is labelled."""

import zlib
from collections.abc import Sequence

import numpy as np

from ialelib.utils.checks import check_indices, check_list
from ialelib.utils.errors import InputError


def fingerprint(pool: np.ndarray) -> str:
    """8 hexadecimal digits that change with any image or with the shape."""
    shape = zlib.crc32(str((pool.shape, pool.dtype.str)).encode())
    return f"{zlib.crc32(np.ascontiguousarray(pool).data, shape):08x}"


def check_classes(classes: Sequence[str]) -> list[str]:
    """The class names as a list; raises InputError if there is none, an empty one or one twice."""
    check_list("classes", classes)
    names = list(classes)
    if not names or not all(isinstance(n, str) and n.strip() and encodes(n) for n in names):
        raise InputError(f"classes must be a list of at least one name, not {classes!r}")
    if len(set(names)) < len(names):
        raise InputError(f"two classes have the same name: {', '.join(sorted(names))}")
    return names


def encodes(name: str) -> bool:
    """Whether a name can be written to a file."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


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
    indices, labels_L = check_indices("labelled", labelled, images), np.asarray(labels)
    if labels_L.shape != indices.shape:
        raise InputError(f"labelled has {len(indices)} images, but labels has {labels_L.size}")
    whole = not labels_L.size or np.issubdtype(labels_L.dtype, np.integer)
    if not whole or not np.isin(labels_L, range(classes)).all():
        raise InputError(f"labels must be class indices from 0 to {classes - 1}")
    return indices, labels_L.astype(np.int64)
