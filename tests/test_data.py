"""Array files, samples, and the toy Gaussians."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from ialelib import data
from ialelib.data import toy_gaussians
from ialelib.utils.errors import InputError


def arrays(train: int = 12, test: int = 6, shape: tuple[int, ...] = (5, 4)) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "train_images": rng.integers(0, 256, (train, *shape), dtype=np.uint8),
        "train_labels": np.arange(train) % 3,
        "test_images": rng.integers(0, 256, (test, *shape), dtype=np.uint8),
        "test_labels": np.arange(test) % 3,
    }


def numbered(images: int) -> dict[str, Any]:
    """Test images of two pixels that spell their own index; the label is its last digit."""
    index = np.arange(images)
    pixels = np.stack([index // 256, index % 256], axis=1).astype(np.uint8)[:, None, :]
    blank = np.zeros((10, 1, 2), np.uint8)
    return {
        "train_images": blank,
        "train_labels": np.arange(10),
        "test_images": pixels,
        "test_labels": index % 10,
    }


def index_of(inputs: np.ndarray) -> np.ndarray:
    return inputs[:, 0, 0].astype(int) * 256 + inputs[:, 0, 1]


# Loading


@pytest.mark.parametrize("name", ["mnist-10k", "fmnist-10k"])
def test_shipped_sample_needs_no_data_folder(empty_data_folder: Path, name: str) -> None:
    sample = data.load_data(name)
    assert sample.name == name
    assert sample.train_inputs.shape == (8000, 28, 28)
    assert sample.test_inputs.shape == (2000, 28, 28)
    assert sample.train_inputs.dtype == sample.test_inputs.dtype == np.uint8
    assert sample.train_labels.dtype == sample.test_labels.dtype == np.int64
    assert sample.classes == 10
    assert sample.shape == (28, 28)
    assert not any(empty_data_folder.iterdir())


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_dropped_file_is_a_data_set_of_its_name(
    empty_data_folder: Path, shape: tuple[int, ...]
) -> None:
    given_arrays = arrays(shape=shape)
    np.savez(empty_data_folder / "my-cells.npz", **given_arrays)
    cells = data.load_data("my-cells")
    assert (cells.name, cells.shape, cells.classes) == ("my-cells", shape, 3)
    np.testing.assert_array_equal(cells.train_inputs, given_arrays["train_images"])
    np.testing.assert_array_equal(cells.test_labels, given_arrays["test_labels"])
    assert "my-cells" in data.available()


def test_labels_of_any_integer_type_become_int64(empty_data_folder: Path) -> None:
    labels = (np.arange(12) % 3).astype(np.uint8)
    np.savez(empty_data_folder / "own.npz", **{**arrays(), "train_labels": labels})
    assert data.load_data("own").train_labels.dtype == np.int64


def test_dropped_file_comes_before_a_shipped_sample(empty_data_folder: Path) -> None:
    np.savez(empty_data_folder / "mnist-10k.npz", **arrays())
    assert len(data.load_data("mnist-10k").train_labels) == 12


def test_class_seen_in_the_test_half_alone_counts(empty_data_folder: Path) -> None:
    np.savez(empty_data_folder / "own.npz", **{**arrays(), "test_labels": np.full(6, 3)})
    assert data.load_data("own").classes == 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.arange(12) % 3 + 1, "reach 3 with only 3 classes: number them anew"),
        (np.arange(12) % 3 * 10, "reach 20 with only 3 classes"),
        (np.where(np.arange(12) % 3, np.arange(12) % 3, 10**9), "reach 1000000000 with only 3"),
        ((np.arange(12) % 3 - 1).astype(np.uint8), "reach 255 with only 3 classes"),
        ((np.arange(12) % 3 - 1).astype(np.uint64), "labels must start from 0"),
        (np.full(12, 2**63, np.uint64), "labels must start from 0"),
    ],
)
def test_labels_with_gaps_are_refused_and_not_more_classes(
    empty_data_folder: Path, labels: np.ndarray, message: str
) -> None:
    halves = {"train_labels": labels, "test_labels": labels[:6]}
    np.savez(empty_data_folder / "own.npz", **{**arrays(), **halves})
    with pytest.raises(InputError, match=rf"own\.npz: .*{message}"):
        data.load_data("own")
    anew = np.unique(labels, return_inverse=True)[1]
    halves = {"train_labels": anew, "test_labels": anew[:6]}
    np.savez(empty_data_folder / "own.npz", **{**arrays(), **halves})
    assert data.load_data("own").classes == len(np.unique(labels))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("mnst", "'mnist'"), ("fmnist-10", "'fmnist-10k'"), ("my-cell", "'my-cells'")],
)
def test_unknown_name_gives_the_nearest(empty_data_folder: Path, name: str, nearest: str) -> None:
    np.savez(empty_data_folder / "my-cells.npz", **arrays())
    with pytest.raises(InputError, match=f"unknown data set '{name}'; did you mean {nearest}"):
        data.load_data(name)


def test_leftover_of_a_killed_write_is_no_data_set(empty_data_folder: Path) -> None:
    (empty_data_folder / ".mnist.npz.x7w_2k.npz").write_bytes(b"half")
    assert not [name for name in data.available() if name.startswith(".")]


# Embeddings


def embedded(train: int = 12, test: int = 6, width: int = 5, kind: Any = np.float16) -> Any:
    """Arrays of a file with embeddings, whose components differ in variance and mean."""
    rng = np.random.default_rng(3)
    mixed = rng.standard_normal((width, width))
    halves = {
        name: (rng.standard_normal((size, width)) @ mixed + 4).astype(kind)
        for name, size in {"train_embeddings": train, "test_embeddings": test}.items()
    }
    return {**halves, "train_labels": np.arange(train) % 3, "test_labels": np.arange(test) % 3}


def embedded_set(**changes: Any) -> data.DataSet:
    made = embedded(**changes)
    return data.DataSet("mine", *(made[key] for key in data.EMBEDDED))


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_dropped_file_may_hold_embeddings(empty_data_folder: Path, kind: Any) -> None:
    given = embedded(kind=kind)
    np.savez(empty_data_folder / "mine.npz", **given)
    mine = data.load_data("mine")
    assert (mine.name, mine.shape, mine.classes) == ("mine", (5,), 3)
    assert mine.train_inputs.dtype == mine.test_inputs.dtype == kind
    np.testing.assert_array_equal(mine.train_inputs, given["train_embeddings"])
    np.testing.assert_array_equal(mine.test_inputs, given["test_embeddings"])


@pytest.mark.parametrize("key", data.EMBEDDED)
def test_missing_array_of_an_embedded_set_is_named(empty_data_folder: Path, key: str) -> None:
    given = {name: values for name, values in embedded().items() if name != key}
    np.savez(empty_data_folder / "mine.npz", **given)
    with pytest.raises(InputError, match=f"lacks the arrays {key};.*or {data.EMBEDDED[0]}"):
        data.load_data("mine")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["train", "test"])
def test_embeddings_that_are_not_finite_are_refused(
    empty_data_folder: Path, part: str, value: float
) -> None:
    given = embedded()
    given[f"{part}_embeddings"][2, 3] = value
    np.savez(empty_data_folder / "mine.npz", **given)
    with pytest.raises(InputError, match=f"mine.npz: {part} embeddings hold NaN or infinite"):
        data.load_data("mine")


def test_embeddings_of_other_types_and_widths_are_refused() -> None:
    with pytest.raises(InputError, match=r"embeddings float16 or float32, N x D\), not float64"):
        embedded_set(kind=np.float64)
    narrow = embedded(width=4)["test_embeddings"]
    mine = embedded_set()
    with pytest.raises(InputError, match="embeddings, differ in shape"):
        data.DataSet("mine", mine.train_inputs, mine.train_labels, narrow, mine.test_labels)


# Principal components


def test_reduced_embeddings_are_scores_on_the_components_of_the_training_half() -> None:
    mine = embedded_set(train=50, test=20, kind=np.float32)
    small = data.reduced(mine, 3)
    exact = mine.train_inputs.astype(np.float64)
    centre = exact.mean(0)
    _, scale, axes = np.linalg.svd(exact - centre, full_matrices=False)
    assert (small.name, small.shape) == ("mine", (3,))
    assert small.train_inputs.dtype == small.test_inputs.dtype == np.float32
    for whole, few in (
        (mine.train_inputs, small.train_inputs),
        (mine.test_inputs, small.test_inputs),
    ):
        np.testing.assert_allclose(np.abs(few), np.abs((whole - centre) @ axes[:3].T), atol=1e-4)
    np.testing.assert_allclose((small.train_inputs**2).sum(0), scale[:3] ** 2, rtol=1e-5)
    np.testing.assert_array_equal(small.train_labels, mine.train_labels)


def test_all_components_keep_every_distance() -> None:
    mine = embedded_set(train=50, test=20)
    small = data.reduced(mine, 5)
    for whole, turned in (
        (mine.train_inputs, small.train_inputs),
        (mine.test_inputs, small.test_inputs),
    ):
        before = np.linalg.norm(whole[:, None].astype(float) - whole, axis=2)
        np.testing.assert_allclose(
            np.linalg.norm(turned[:, None] - turned, axis=2), before, atol=1e-4
        )


def test_components_depend_on_training_embeddings_alone_and_have_fixed_signs() -> None:
    mine = embedded_set(train=50, test=20)
    reverse = slice(None, None, -1)
    other = data.DataSet(
        "mine",
        mine.train_inputs[reverse],
        mine.test_labels.repeat(3)[:50],
        mine.test_inputs[:1],
        mine.test_labels[:1],
    )
    first, second = data.reduced(mine, 4), data.reduced(other, 4)
    np.testing.assert_allclose(first.train_inputs[reverse], second.train_inputs, atol=1e-5)
    np.testing.assert_allclose(first.test_inputs[:1], second.test_inputs, atol=1e-5)
    assert first.fingerprint == data.reduced(mine, 4).fingerprint


@pytest.mark.parametrize(("changes", "dimensions"), [({}, 6), ({"train": 3}, 4), ({}, 0)])
def test_impossible_dimensions_are_refused(changes: dict[str, Any], dimensions: int) -> None:
    with pytest.raises(InputError, match=f"dimensions must be 1 to .*, not {dimensions}"):
        data.reduced(embedded_set(**changes), dimensions)


def test_images_are_not_reduced(small_digits: data.DataSet) -> None:
    with pytest.raises(InputError, match=r"only embeddings are reduced: .*inference.extract_set"):
        data.reduced(small_digits, 2)


# SET-10k, SET-25k


def test_sample_of_a_set_splits_its_test_images(empty_data_folder: Path) -> None:
    np.savez(empty_data_folder / "kmnist.npz", **numbered(50))
    sample = data.load_data("kmnist-10k")
    train, test = index_of(sample.train_inputs), index_of(sample.test_inputs)
    assert sample.name == "kmnist-10k"
    assert (len(train), len(test)) == (40, 10)
    assert sorted([*train, *test]) == list(range(50))
    assert list(train) != sorted(train)
    np.testing.assert_array_equal(sample.train_labels, train % 10)
    np.testing.assert_array_equal(sample.test_labels, test % 10)


def test_sample_of_a_set_is_the_same_every_time(empty_data_folder: Path) -> None:
    np.savez(empty_data_folder / "kmnist.npz", **numbered(50))
    first, second = data.load_data("kmnist-10k"), data.load_data("kmnist-10k")
    np.testing.assert_array_equal(first.train_inputs, second.train_inputs)


def test_sample_of_a_larger_set_has_ten_thousand_images(empty_data_folder: Path) -> None:
    np.savez(empty_data_folder / "svhn.npz", **numbered(12_000))
    sample = data.load_data("svhn-10k")
    chosen = index_of(np.concatenate([sample.train_inputs, sample.test_inputs]))
    assert (len(sample.train_labels), len(sample.test_labels)) == (8000, 2000)
    assert len(set(chosen)) == 10_000
    # Drawn from all of them, not from the first 10,000.
    assert chosen.max() > 11_900


def test_a_larger_sample_keeps_halves_and_the_share_of_each_class(empty_data_folder: Path) -> None:
    halves = numbered(12_000)
    counts = {"train_labels": [13_000, 9_000, 2_000], "test_labels": [4_000, 5_500, 2_500]}
    rng = np.random.default_rng(0)
    for key, of_class in counts.items():
        halves[key] = rng.permutation(np.repeat(np.arange(3), of_class))
    halves["train_images"] = np.zeros((24_000, 1, 2), np.uint8)
    np.savez(empty_data_folder / "cifar10.npz", **halves)
    sample, again = data.load_data("cifar10-25k"), data.load_data("cifar10-25k")
    assert sample.name == "cifar10-25k"
    train = np.bincount(sample.train_labels) - 20 / 24 * np.array(counts["train_labels"])
    test = np.bincount(sample.test_labels) - 5 / 12 * np.array(counts["test_labels"])
    assert (len(sample.train_labels), len(sample.test_labels)) == (20_000, 5_000)
    assert np.abs([train, test]).max() < 1
    chosen = index_of(sample.test_inputs)
    assert len(set(chosen)) == 5_000
    np.testing.assert_array_equal(sample.test_labels, halves["test_labels"][chosen])
    assert sample.fingerprint == again.fingerprint


# Toy Gaussians


def distance(toy: data.DataSet) -> float:
    means = [toy.train_inputs[toy.train_labels == label].mean(axis=0) for label in (0, 1)]
    return float(np.linalg.norm(means[1] - means[0]))


@pytest.mark.parametrize("overlap", [0.05, 0.2, 0.7])
def test_overlap_is_the_integral_of_the_smaller_density(overlap: float) -> None:
    half = distance(toy_gaussians(train=200_000, test=1, overlap=overlap)) / 2

    def smaller(x: float) -> float:
        return float(min(norm.pdf(x, -half), norm.pdf(x, half)))

    integral, _ = quad(smaller, -12, 12, points=[0.0])
    assert integral == pytest.approx(overlap, abs=0.005)


@pytest.mark.parametrize("overlap", [0.05, 0.2, 0.7])
def test_best_accuracy_is_one_minus_half_the_overlap(overlap: float) -> None:
    toy = toy_gaussians(train=1, test=200_000, overlap=overlap)
    accuracy = ((toy.test_inputs[:, 0] > 0) == toy.test_labels).mean()
    assert accuracy == pytest.approx(1 - overlap / 2, abs=0.004)


def test_each_class_is_a_unit_gaussian() -> None:
    toy = toy_gaussians(train=100_000, test=1)
    for label in (0, 1):
        covariance = np.cov(toy.train_inputs[toy.train_labels == label].T)
        np.testing.assert_allclose(covariance, np.eye(2), atol=0.02)


def test_toy_points_are_float32_in_the_plane() -> None:
    toy = toy_gaussians(train=30, test=20)
    assert (toy.train_inputs.shape, toy.test_inputs.shape) == ((30, 2), (20, 2))
    assert toy.train_inputs.dtype == toy.test_inputs.dtype == np.float32
    assert (toy.shape, toy.classes) == ((2,), 2)


def test_full_overlap_leaves_nothing_to_learn() -> None:
    assert distance(toy_gaussians(train=200_000, test=1, overlap=1.0)) < 0.02


@pytest.mark.parametrize("overlap", [0.0, -0.1, 1.01, float("nan")])
def test_impossible_overlap_is_refused(overlap: float) -> None:
    with pytest.raises(InputError, match=r"overlap must lie in \(0, 1\]"):
        toy_gaussians(overlap=overlap)


def test_toy_set_depends_on_its_seed_alone() -> None:
    first, again, other = (toy_gaussians(50, 50, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    np.testing.assert_array_equal(first.test_labels, again.test_labels)
    assert not np.array_equal(first.train_inputs, other.train_inputs)
