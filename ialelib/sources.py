"""The original data sets, downloaded and checked by torchvision, as arrays; and subsets of them."""

from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from ialelib.errors import InputError

Arrays = tuple[np.ndarray, np.ndarray]
Halves = tuple[np.ndarray, ...]
"""Train images, train labels, test images, test labels."""


def _grey(kind: str) -> Callable[[Path, bool], Arrays]:
    def half(root: Path, train: bool) -> Arrays:
        from torchvision import datasets

        data = getattr(datasets, kind)(root, train=train, download=True)
        return data.data.numpy(), data.targets.numpy()

    return half


def _emnist_letters(root: Path, train: bool) -> Arrays:
    from torchvision import datasets

    data = datasets.EMNIST(root, split="letters", train=train, download=True)
    # The original files hold the images transposed and number the letters from 1.
    return data.data.numpy().transpose(0, 2, 1), data.targets.numpy() - 1


def _svhn(root: Path, train: bool) -> Arrays:
    from torchvision import datasets

    data = datasets.SVHN(root, split="train" if train else "test", download=True)
    return data.data.transpose(0, 2, 3, 1), data.labels


def _cifar(kind: str) -> Callable[[Path, bool], Arrays]:
    def half(root: Path, train: bool) -> Arrays:
        from torchvision import datasets

        data: Any = getattr(datasets, kind)(root, train=train, download=True)
        return data.data, np.asarray(data.targets)

    return half


TORCHVISION: dict[str, Callable[[Path, bool], Arrays]] = {
    "mnist": _grey("MNIST"),
    "fmnist": _grey("FashionMNIST"),
    "kmnist": _grey("KMNIST"),
    "emnist-letters": _emnist_letters,
    "svhn": _svhn,
    "cifar10": _cifar("CIFAR10"),
    "cifar100": _cifar("CIFAR100"),
}


def of_test(whole: Halves, rng: np.random.Generator) -> Halves:
    """10,000 test images, split at random into 8,000 and 2,000."""
    chosen = rng.permutation(len(whole[3]))[:10_000]
    train, test = np.split(chosen, [len(chosen) * 4 // 5])
    return whole[2][train], whole[3][train], whole[2][test], whole[3][test]


def of_both(whole: Halves, rng: np.random.Generator) -> Halves:
    """20,000 training and 5,000 test images, or all there are, with each class's share kept."""
    train = stratified(whole[1], 20_000, rng)
    test = stratified(whole[3], 5_000, rng)
    return whole[0][train], whole[1][train], whole[2][test], whole[3][test]


def stratified(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` random indices with each class's share, to less than one; all if there are fewer."""
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    size = min(size, len(labels))
    return np.sort(by_class[np.arange(size) * len(labels) // max(1, size)])


SUBSETS: dict[str, Callable[[Halves, np.random.Generator], Halves]] = {
    "10k": of_test,
    "25k": of_both,
}


def download(name: str, folder: Path) -> Halves:
    """Train images, train labels, test images, test labels of a torchvision data set.

    Images are uint8, N x H x W or N x H x W x 3; labels int64 from 0. The original files stay
    in `folder/raw`.

    Raises:
        InputError: the files are neither there nor to be had.
    """
    raw = folder / "raw"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        halves = [TORCHVISION[name](raw, train) for train in (True, False)]
    except (OSError, RuntimeError, ValueError, AssertionError, HTTPException) as error:
        raise InputError(
            f"data set {name!r} is not in {folder} and could not be downloaded ({error}). "
            f"Either connect to the network and try again, or put {name}.npz (see the README, "
            f"'Data') into that folder; IALE_DATA names another folder. "
            f"What a download that was cut off left in {raw} can be deleted"
        ) from error
    return tuple(
        np.ascontiguousarray(array, dtype=kind)
        for half in halves
        for array, kind in zip(half, (np.uint8, np.int64), strict=True)
    )
