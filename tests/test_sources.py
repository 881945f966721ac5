"""The torchvision path without a network: a few images in files of the original formats."""

import gzip
import hashlib
import http.client
import pickle
import pickletools
import shutil
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError

import numpy as np
import pytest
import scipy.io
from torchvision import datasets

from ialelib import data
from ialelib.data import TORCHVISION
from ialelib.utils.errors import InputError

TRAIN, TEST = 80, 40
Write = Callable[[Path, data.DataSet, pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_network(monkeypatch, URLError("no route to host"))


def cut_network(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def urlopen(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)


def truth(name: str) -> data.DataSet:
    """Random images and every label of the set, as `load` should return them."""
    rng = np.random.default_rng(len(name))
    shape = (32, 32, 3) if name in ("svhn", "cifar10", "cifar100") else (28, 28)
    classes = {"emnist-letters": 26, "cifar100": 100}.get(name, 10)
    images = rng.integers(0, 256, (TRAIN + TEST, *shape), dtype=np.uint8)
    labels = np.linspace(0, classes - 1, TRAIN + TEST).astype(np.int64)
    return data.DataSet(name, images[:TRAIN], labels[:TRAIN], images[TRAIN:], labels[TRAIN:])


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


# Writers of the original files


def idx(array: np.ndarray) -> bytes:
    """IDX: two zero bytes, type 8 (unsigned byte), dimensions, big-endian sizes, the bytes."""
    header = struct.pack(f">4B{array.ndim}i", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_grey(kind: str) -> Write:
    def write(raw: Path, known: data.DataSet, _: pytest.MonkeyPatch) -> None:
        folder = raw / kind / "raw"
        folder.mkdir(parents=True)
        (folder / "train-images-idx3-ubyte").write_bytes(idx(known.train_inputs))
        (folder / "train-labels-idx1-ubyte").write_bytes(idx(known.train_labels))
        (folder / "t10k-images-idx3-ubyte").write_bytes(idx(known.test_inputs))
        (folder / "t10k-labels-idx1-ubyte").write_bytes(idx(known.test_labels))

    return write


def write_emnist(raw: Path, known: data.DataSet, _: pytest.MonkeyPatch) -> None:
    """Images transposed, letters from 1, as NIST's files have them."""
    folder = raw / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for half, images, labels in (
        ("train", known.train_inputs, known.train_labels),
        ("test", known.test_inputs, known.test_labels),
    ):
        images_file = folder / f"emnist-letters-{half}-images-idx3-ubyte"
        images_file.write_bytes(idx(images.transpose(0, 2, 1)))
        (folder / f"emnist-letters-{half}-labels-idx1-ubyte").write_bytes(idx(labels + 1))


def write_svhn(raw: Path, known: data.DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """H x W x 3 x N, and 10 for the digit 0."""
    raw.mkdir(parents=True)
    split_list = {}
    for half, images, labels in (
        ("train", known.train_inputs, known.train_labels),
        ("test", known.test_inputs, known.test_labels),
    ):
        path = raw / f"{half}_32x32.mat"
        digits = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
        scipy.io.savemat(path, {"X": images.transpose(1, 2, 3, 0), "y": digits})
        split_list[half] = ["https://example.org/", path.name, md5(path)]
    monkeypatch.setattr(datasets.SVHN, "split_list", split_list)


def python2_pickle(entry: dict[str, Any]) -> bytes:
    """As the CIFAR files are: NumPy's old module name, and 0 and 1 in place of False and True."""
    content = pickletools.optimize(pickle.dumps(entry, protocol=2))
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    return content.replace(b"\x89\x88\x87R", b"K\x00K\x01\x87R")


def write_cifar(kind: str, labels_key: str, names_key: str) -> Write:
    """Rows of 3,072 numbers: all red, all green, all blue ones."""

    def write(raw: Path, known: data.DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(datasets, kind)
        folder = raw / original.base_folder
        folder.mkdir(parents=True)

        def put(file: str, entry: dict[str, Any]) -> list[str]:
            (folder / file).write_bytes(python2_pickle(entry))
            return [file, md5(folder / file)]

        def batches(files: list[list[str]], images: np.ndarray, labels: np.ndarray) -> Any:
            rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
            parts = zip(np.split(rows, len(files)), np.split(labels, len(files)), strict=True)
            return [
                put(file, {"data": part, labels_key: part_labels.tolist()})
                for (file, _), (part, part_labels) in zip(files, parts, strict=True)
            ]

        train = batches(original.train_list, known.train_inputs, known.train_labels)
        test = batches(original.test_list, known.test_inputs, known.test_labels)
        names = [str(label) for label in range(known.classes)]
        meta_file, meta_md5 = put(original.meta["filename"], {names_key: names})
        monkeypatch.setattr(original, "train_list", train)
        monkeypatch.setattr(original, "test_list", test)
        meta = {"filename": meta_file, "key": names_key, "md5": meta_md5}
        monkeypatch.setattr(original, "meta", meta)

    return write


ORIGINALS: dict[str, Write] = {
    "mnist": write_grey("MNIST"),
    "fmnist": write_grey("FashionMNIST"),
    "kmnist": write_grey("KMNIST"),
    "emnist-letters": write_emnist,
    "svhn": write_svhn,
    "cifar10": write_cifar("CIFAR10", "labels", "label_names"),
    "cifar100": write_cifar("CIFAR100", "fine_labels", "fine_label_names"),
}


def assert_same(loaded: data.DataSet, known: data.DataSet) -> None:
    assert loaded.train_inputs.dtype == loaded.test_inputs.dtype == np.uint8
    assert loaded.train_labels.dtype == loaded.test_labels.dtype == np.int64
    np.testing.assert_array_equal(loaded.train_inputs, known.train_inputs)
    np.testing.assert_array_equal(loaded.train_labels, known.train_labels)
    np.testing.assert_array_equal(loaded.test_inputs, known.test_inputs)
    np.testing.assert_array_equal(loaded.test_labels, known.test_labels)


# Tests


@pytest.mark.parametrize("name", TORCHVISION)
def test_original_files_become_the_array_file(
    empty_data_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    known, raw = truth(name), empty_data_folder / "raw"
    ORIGINALS[name](raw, known, monkeypatch)
    assert_same(data.load_data(name), known)
    shutil.rmtree(raw)
    assert [path.name for path in empty_data_folder.iterdir()] == [f"{name}.npz"]
    assert_same(data.load_data(name), known)


def test_compressed_originals_are_checked_and_unpacked(
    empty_data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, raw = truth("mnist"), empty_data_folder / "raw"
    ORIGINALS["mnist"](raw, known, monkeypatch)
    resources = []
    for path in sorted((raw / "MNIST" / "raw").iterdir()):
        packed = path.with_name(f"{path.name}.gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        resources.append((packed.name, md5(packed)))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    assert_same(data.load_data("mnist"), known)


@pytest.mark.parametrize("name", TORCHVISION)
def test_no_network_gives_one_error_with_both_ways_out(empty_data_folder: Path, name: str) -> None:
    with pytest.raises(InputError) as error:
        data.load_data(name)
    message = str(error.value)
    assert f"data set {name!r} is not in {empty_data_folder}" in message
    assert "connect to the network" in message
    assert f"put {name}.npz" in message
    assert not [path for path in empty_data_folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "error", [TimeoutError(), ConnectionResetError(), http.client.IncompleteRead(b"")]
)
def test_broken_connection_gives_the_same_error(
    empty_data_folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    cut_network(monkeypatch, error)
    with pytest.raises(InputError, match="could not be downloaded"):
        data.load_data("mnist")


# What an unpacking killed at various points leaves; torchvision does not look at it again.
@pytest.mark.parametrize("kept", [0, 2, 6, 15, 1000])
def test_half_unpacked_original_is_refused(
    empty_data_folder: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    raw = empty_data_folder / "raw"
    ORIGINALS["mnist"](raw, truth("mnist"), monkeypatch)
    images = raw / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:kept])
    with pytest.raises(InputError, match="'mnist'") as error:
        data.load_data("mnist")
    # Trying again does not help; deleting this folder does.
    assert str(raw) in str(error.value)
    assert not list(empty_data_folder.glob("*.npz"))


def test_disk_that_fills_up_leaves_no_array_file(
    empty_data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def savez(file: IO[bytes], **_: np.ndarray) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    ORIGINALS["mnist"](empty_data_folder / "raw", truth("mnist"), monkeypatch)
    monkeypatch.setattr(np, "savez_compressed", savez)
    with pytest.raises(OSError, match="No space left"):
        data.load_data("mnist")
    assert [path.name for path in empty_data_folder.iterdir()] == ["raw"]
