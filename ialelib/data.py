"""Images, embeddings and the toy Gaussians as arrays; the pool of an active-learning cycle."""

import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from glob import glob
from http.client import HTTPException
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from ialelib.utils.checks import check_indices, check_name
from ialelib.utils.errors import InputError
from ialelib.utils.files import atomic, expanded, project, user_cache
from ialelib.utils.seeds import stream

Arrays = tuple[np.ndarray, np.ndarray]
Halves = tuple[np.ndarray, ...]
"""Train inputs, train labels, test inputs, test labels."""


SAMPLES = Path(__file__).parent / "samples"
KEYS = ("train_images", "train_labels", "test_images", "test_labels")
EMBEDDED = ("train_embeddings", "train_labels", "test_embeddings", "test_labels")
# What numpy.load and zipfile raise for files that are not archives, truncated or corrupted.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)

ARCHIVE = b"PK\x03\x04"
OTHERS = {
    rb"$": "it is empty",
    rb"version https://git-lfs": "it is a pointer of Git LFS, whose file `git lfs pull` fetches",
    rb"(?i)(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml)": "it is a web page, as downloads are "
    "that were refused",
    rb"\x93NUMPY": "it is a single array, and several by name are due, as numpy.savez writes them",
    rb"\x80": "it is a pickle, which could run any code",
    rb"[\t\n\r\x20-\x7e]+$": "it is plain text",
    rb"": "it is of another kind",
}
"""How other files begin, and what to say of them."""


@dataclass(frozen=True)
class DataSet:
    """A classification data set in memory.

    Inputs are uint8 images, N x H x W or N x H x W x 3, or embeddings or points, N x D, float16 or
    float32; labels are int64, 0 to C - 1, and each class has a sample in one of the halves.

    Raises:
        InputError: arrays of another kind or shape, or that do not fit together; embeddings with
            NaN or infinite values; labels with gaps.
    """

    name: str
    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            inputs, labels = getattr(self, f"{part}_inputs"), getattr(self, f"{part}_labels")
            images = inputs.dtype == np.uint8 and inputs.shape[3:] in ((), (3,)) and inputs.ndim > 2
            if not images and (inputs.dtype not in (np.float16, np.float32) or inputs.ndim != 2):
                raise InputError(
                    f"{part} images must be uint8, N x H x W or N x H x W x 3 (embeddings float16 "
                    f"or float32, N x D), not {inputs.dtype} of shape {inputs.shape}"
                )
            if not images and not np.isfinite(inputs).all():
                raise InputError(
                    f"{part} embeddings hold NaN or infinite values; leave those samples out"
                )
            if not np.issubdtype(labels.dtype, np.integer) or labels.shape != inputs.shape[:1]:
                raise InputError(
                    f"{part} labels must be {len(inputs)} whole numbers, not {labels.dtype} of "
                    f"shape {labels.shape}"
                )
            labels = labels.astype(np.int64, copy=False)
            if len(labels) == 0 or labels.min() < 0:
                raise InputError(f"{part} labels must start from 0 and not be empty")
            object.__setattr__(self, f"{part}_labels", labels)
        used = np.union1d(self.train_labels, self.test_labels)
        if used[-1] >= len(used):
            raise InputError(
                f"labels must be 0 to C - 1 without gaps, but they reach {used[-1]} with only "
                f"{len(used)} classes: number them anew, those of both halves together, by "
                "numpy.unique(labels, return_inverse=True)"
            )
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise InputError("train and test images, or embeddings, differ in shape")

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1

    @property
    def halves(self) -> Halves:
        """Train inputs, train labels, test inputs, test labels."""
        return self.train_inputs, self.train_labels, self.test_inputs, self.test_labels

    @cached_property
    def fingerprint(self) -> str:
        """8 hexadecimal digits that change with any input or label."""
        check = 0
        for array in self.halves:
            check = zlib.crc32(np.ascontiguousarray(array).data, check)
        return f"{check:08x}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input: (H, W), (H, W, 3) or (D,)."""
        return self.train_inputs.shape[1:]


def folder() -> Path:
    """Where array files are kept: `$IALE_DATA`, relative to the project, or the user's cache."""
    return project() / expanded(os.environ.get("IALE_DATA") or user_cache())


def _places() -> list[Path]:
    """Where array files may lie; without a home folder those that are shipped are left."""
    try:
        return [folder(), SAMPLES]
    except InputError:
        if os.environ.get("IALE_DATA"):
            raise
        return [SAMPLES]


def available() -> list[str]:
    """Names that `load` accepts: torchvision's, their samples, and files put there."""
    # Not by pathlib, which fails at folders that it may not look into.
    files = (name for where in _places() for name in glob("[!.]*.npz", root_dir=where))
    dropped = {Path(name).stem for name in files}
    subsets = {f"{name}-{size}" for name in TORCHVISION for size in SUBSETS}
    return sorted(dropped | set(TORCHVISION) | subsets)


def load_data(name: str) -> DataSet:
    """The data set of that name (Sec. 4.1).

    Looks for `NAME.npz` in `folder()`, then among the shipped samples; else downloads the
    original files through torchvision and keeps them as `NAME.npz`. `SET-10k` and `SET-25k`,
    where there is no such file, are drawn from that set, always the same (`SUBSETS`).

    Raises:
        InputError: unknown name, unreadable or malformed file, or not cached and no network.
    """
    check_name("data set", name, available())
    for where in _places():
        path = where / f"{name}.npz"
        if os.path.exists(path):  # pathlib may not look into every cache
            return read(path)
    whole, _, size = name.rpartition("-")
    if whole in TORCHVISION and size in SUBSETS:
        return DataSet(name, *SUBSETS[size](load_data(whole).halves, stream(0, name)))
    path = folder() / f"{name}.npz"
    arrays = download(name, folder())
    with atomic(path) as temporary, temporary.open("wb") as file:
        named: dict[str, Any] = dict(zip(KEYS, arrays, strict=True))
        np.savez_compressed(file, **named)
    return read(path)


def read(path: Path) -> DataSet:
    """Read and check an array file, of images (`KEYS`) or embeddings (`EMBEDDED`).

    Raises:
        InputError: not an npz file, truncated, or with other arrays than these describe.
    """
    try:
        # numpy.load leaves a file open that it cannot read.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            keys = EMBEDDED if any(key.endswith("_embeddings") for key in file) else KEYS
            missing = [key for key in keys if key not in file]
            if missing:
                raise InputError(
                    f"{path} lacks the arrays {', '.join(missing)}; it needs {', '.join(KEYS)}, "
                    f"or {', '.join(EMBEDDED)}"
                )
            arrays = [file[key] for key in keys]
    except UNREADABLE as error:
        if isinstance(error, InputError):
            raise
        # Not with NumPy's own words, which advise to allow pickles.
        raise InputError(
            f"{path} is not a readable array file: {_fault(path, error)}; delete it and load "
            "again, or put a good copy in its place"
        ) from None
    try:
        return DataSet(path.stem, *arrays)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _fault(path: Path, error: Exception) -> str:
    """What is wrong with an array file, by how it begins."""
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except OSError as failure:
        return f"{failure.strerror}"
    if start.startswith(ARCHIVE):
        objects = "allow_pickle" in str(error)
        return "it holds Python objects" if objects else "it is cut off or damaged"
    return next(text for begin, text in OTHERS.items() if re.match(begin, start))


def reduced(data: DataSet, dimensions: int) -> DataSet:
    """Embeddings on their first principal components, N x `dimensions`, float32.

    Mean and components are those of the training embeddings, computed in float64; labels are not
    used. The largest weight of every component is positive.

    Raises:
        InputError: images, or more dimensions than the embeddings or the training samples allow.
    """
    if data.train_inputs.ndim != 2:
        raise InputError(
            f"data set {data.name!r} holds images, and only embeddings are reduced: make them "
            "first with inference.extract_set"
        )
    most = min(data.train_inputs.shape)
    if not 1 <= dimensions <= most:
        raise InputError(
            f"dimensions must be 1 to {most}, the smaller of samples and width of the training "
            f"embeddings, not {dimensions}"
        )
    import torch  # data sets are read without it

    from ialelib.utils.cpu import one_thread

    halves = data.train_inputs, data.test_inputs
    with one_thread():
        train_N_D, test_N_D = (torch.from_numpy(half.astype(np.float64)) for half in halves)
        mean_D = train_N_D.mean(0)
        train_N_D -= mean_D
        test_N_D -= mean_D
        axes_D_D = torch.linalg.eigh(train_N_D.T @ train_N_D).eigenvectors
        axes_D_K = axes_D_D.flip(1)[:, :dimensions]  # they come by ascending variance
        largest_K = axes_D_K.gather(0, axes_D_K.abs().argmax(0, keepdim=True))[0]
        axes_D_K = axes_D_K * largest_K.sign()
        train, test = ((half @ axes_D_K).float().numpy() for half in (train_N_D, test_N_D))
    return replace(data, train_inputs=train, test_inputs=test)


def toy_gaussians(
    train: int = 2000, test: int = 2000, overlap: float = 0.2, seed: int = 0
) -> DataSet:
    """Two unit Gaussians in the plane, one per class (Fig. 1a).

    `overlap` is the overlapping coefficient of the two densities, the integral of their minimum:
    2 Phi(-d/2) for means a distance d apart. The best possible accuracy is 1 - overlap/2.

    Raises:
        InputError: overlap outside (0, 1].
    """
    if not 0 < overlap <= 1:
        raise InputError(f"overlap must lie in (0, 1], not {overlap}")
    half = -NormalDist().inv_cdf(overlap / 2)
    rng = stream(seed, "toy")
    labels = rng.integers(0, 2, train + test)
    points = rng.standard_normal((train + test, 2))
    points[:, 0] += np.where(labels == 1, half, -half)
    points = points.astype(np.float32)
    return DataSet("toy", points[:train], labels[:train], points[train:], labels[train:])


class Pool:
    """Which training samples are labelled; the others are the unlabelled pool D_pool.

    `excluded` samples (the validation set) are neither labelled nor in the pool.
    """

    def __init__(self, size: int, excluded: np.ndarray | None = None) -> None:
        self._labelled = np.zeros(size, dtype=bool)
        self._open = np.ones(size, dtype=bool)
        if excluded is not None:
            self._open[excluded] = False

    @property
    def labelled(self) -> np.ndarray:
        """Indices of the labelled set D_lab, ascending."""
        return np.flatnonzero(self._labelled)

    @property
    def unlabelled(self) -> np.ndarray:
        """Indices of D_pool, ascending."""
        return np.flatnonzero(self._open)

    def label(self, indices: np.ndarray) -> None:
        """Move `indices` from the pool to the labelled set.

        Raises:
            InputError: an index twice, outside the pool, or labelled before; nothing is changed.
        """
        indices = check_indices("a batch", indices, len(self._open))
        taken = indices[~self._open[indices]]
        if len(taken):
            raise InputError(f"already labelled or not in the pool: {taken[:5].tolist()}")
        self._labelled[indices] = True
        self._open[indices] = False

    def sample(self, n: int | None, rng: np.random.Generator) -> np.ndarray:
        """Random sub-pool D_sub of `n` unlabelled indices, in random order (Alg. 1, line 6).

        Without `n`, all of them.

        The order is drawn over all samples, so pools that differ in a few labels, as those of
        two strategies with the same seed do, get sub-pools that differ in as few.

        Raises:
            InputError: fewer than `n` samples are left.
        """
        order = rng.permutation(len(self._open))
        order = order[self._open[order]]
        if n is not None and n > len(order):
            raise InputError(f"a sub-pool of {n} was asked for, but only {len(order)} are left")
        return order[:n]


def balanced(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` random indices as balanced over the classes as possible (Sec. 4.2: 20, two of each).

    Raises:
        InputError: more than there are samples.
    """
    if size > len(labels):
        raise InputError(f"{size} initial labels asked for, but the set has {len(labels)} samples")
    order = rng.permutation(len(labels))
    rank = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank[order], kind="stable")][:size]


TORCHVISION = {
    "mnist": "MNIST",
    "fmnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist-letters": "EMNIST",
    "svhn": "SVHN",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
}


def _half(kind: str, root: Path, train: bool) -> Arrays:
    """Images and labels of a half of a torchvision data set, as its original files have them."""
    from torchvision import datasets

    half: dict[str, Any] = {"train": train}
    if kind == "SVHN":
        half = {"split": "train" if train else "test"}
    elif kind == "EMNIST":
        half["split"] = "letters"
    found = getattr(datasets, kind)(root, download=True, **half)
    images = np.asarray(found.data)
    labels = np.asarray(found.labels if kind == "SVHN" else found.targets)
    if kind == "SVHN":
        return images.transpose(0, 2, 3, 1), labels
    if kind == "EMNIST":  # transposed, and the letters numbered from 1
        return images.transpose(0, 2, 1), labels - 1
    return images, labels


def of_test(whole: Halves, rng: np.random.Generator) -> Halves:
    """10,000 test images, split at random into 8,000 and 2,000."""
    chosen = rng.permutation(len(whole[3]))[:10_000]
    train, test = np.split(chosen, [len(chosen) * 4 // 5])
    return whole[2][train], whole[3][train], whole[2][test], whole[3][test]


def of_both(whole: Halves, rng: np.random.Generator) -> Halves:
    """20,000 training and 5,000 test images, or all of smaller halves, stratified by class."""
    train = stratified(whole[1], 20_000, rng)
    test = stratified(whole[3], 5_000, rng)
    return whole[0][train], whole[1][train], whole[2][test], whole[3][test]


def stratified(labels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` random indices, stratified by class to within one sample; all if there are fewer."""
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
        InputError: the files are not there and cannot be downloaded.
    """
    raw = folder / "raw"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        halves = [_half(TORCHVISION[name], raw, train) for train in (True, False)]
    except (OSError, RuntimeError, ValueError, AssertionError, HTTPException) as error:
        raise InputError(
            f"data set {name!r} is not in {folder} and could not be downloaded ({error}). "
            f"Either connect to the network and try again, or put {name}.npz (see the README, "
            f"'Data') into that folder; IALE_DATA names another folder. "
            f"Files left by an interrupted download in {raw} can be deleted"
        ) from error
    return tuple(
        np.ascontiguousarray(array, dtype=kind)
        for half in halves
        for array, kind in zip(half, (np.uint8, np.int64), strict=True)
    )
