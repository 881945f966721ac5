"""The two greedy selections against textbook versions, and within their bounds of memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from ialelib import greedy
from ialelib.greedy import k_centre, k_means_pp
from ialelib.utils.errors import InputError
from ialelib.utils.rows import Rows

N, D, C = 300, 5, 4


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def grid(side: int, dimensions: int) -> np.ndarray:
    axes = np.meshgrid(*[np.arange(side)] * dimensions)
    return np.stack(axes, -1).reshape(-1, dimensions).astype(np.float32)


UNTIED = {
    "random": normal(N, D),
    "few": normal(3, D),
    "plane": normal(N, 2),
    "clustered": 10 * normal(6, D)[np.arange(N) % 6] + 0.1 * normal(N, D, seed=1),
    "far from the origin": normal(N, D) + 1e4,
    "wide": normal(N, 130) * np.linspace(0, 3, N, dtype=np.float32)[:, None],
}
TIED = {
    "duplicated": np.tile(normal(N // 3, D), (3, 1)),
    "identical": np.ones((N, D), dtype=np.float32),
    "square": grid(17, 2),
    "cube": grid(6, 3),
    "corners": np.eye(40, dtype=np.float32),
}
POINTS = UNTIED | TIED


def distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """All distances, N x K, by differences."""
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(torch.tensor(points), torch.tensor(centres), compute_mode=mode).numpy()


def check_farthest_first(points: np.ndarray, labelled: np.ndarray, chosen: list[int]) -> None:
    """Each choice is the farthest of all, or ties with it, as the plain algorithm has it."""
    nearest_N = distances(points, labelled).min(1)
    assert len(set(chosen)) == len(chosen)
    for i in chosen:
        assert nearest_N[i] == nearest_N.max()
        nearest_N = np.minimum(nearest_N, distances(points, points[[i]])[:, 0])
        nearest_N[i] = -1.0


def farthest(points: Rows, labelled: Rows, acq: int, seed: int = 0, chunk: int = 64) -> list[int]:
    return k_centre(points, labelled, acq, np.random.default_rng(seed), chunk).tolist()


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("labelled", [1, 30])
def test_k_centre_is_the_plain_farthest_first_traversal(name: str, labelled: int) -> None:
    points, centres = POINTS[name], POINTS[name][::-1][:labelled] * np.float32(1.5)
    for seed in range(3):
        check_farthest_first(points, centres, farthest(points, centres, len(points), seed))


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("front", [1, 20])
def test_k_centre_looks_at_few_bounds_for_the_same_choice(
    name: str, front: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, acq = POINTS[name], len(POINTS[name])
    expected = farthest(points, points[:3], acq)
    monkeypatch.setattr(greedy, "FRONT", front)
    found = farthest(points, points[:3], acq)
    check_farthest_first(points, points[:3], found)
    assert found == expected


@pytest.mark.parametrize("name", UNTIED)
def test_k_centre_without_ties_does_not_depend_on_the_generator(name: str) -> None:
    points, acq = UNTIED[name], min(60, len(UNTIED[name]))
    assert farthest(points, points[:1], acq, seed=1) == farthest(points, points[:1], acq, seed=2)


def test_k_centre_compares_with_labelled_samples_of_every_block() -> None:
    points, centres = normal(200, 3), normal(2 * greedy.BLOCK + 100, 3, seed=1)
    check_farthest_first(points, centres, farthest(points, centres, 50))


def test_k_centre_is_exact_where_the_matrix_product_points_to_the_wrong_centre() -> None:
    # Shifted by the first centre, the others and the samples lie at 1e4: the product is too coarse
    # to tell them apart, and many a bound is not the distance to the nearest.
    points, centres = normal(N, D) + 1e4, normal(40, D, seed=1) + 1e4
    centres[0] = 0
    check_farthest_first(points, centres, farthest(points, centres, 100))


@pytest.mark.parametrize("labelled", [np.zeros((1, 40)), np.zeros((0, 40))])
def test_k_centre_breaks_ties_at_random(labelled: np.ndarray) -> None:
    # More corners than are made exact at a time, all equally far from each other.
    picks = [i for seed in range(400) for i in farthest(TIED["corners"], labelled, 3, seed)]
    assert chisquare(np.bincount(picks, minlength=40)).pvalue > 1e-3


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_k_centre_leaves_most_distances_out(offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, exact = [], greedy._distances

    def counted(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        distance = exact(a, b)
        pairs.append(distance.numel())
        return distance

    monkeypatch.setattr(greedy, "_distances", counted)
    monkeypatch.setattr(greedy, "BLOCK", 50)
    farthest(normal(5000, 16) + offset, normal(200, 16, seed=1) + offset, 100)
    assert sum(pairs) < 0.05 * 5000 * (200 + 100)


def gradients(residual: np.ndarray, embedding: np.ndarray) -> np.ndarray:
    """Explicit gradient embeddings, N x C*D, in float64."""
    return np.einsum("nc,nd->ncd", residual, embedding, dtype=np.float64).reshape(len(residual), -1)


def samples(count: int = N, width: int = D) -> tuple[np.ndarray, np.ndarray]:
    """Residuals and embeddings."""
    probs = torch.tensor(2 * normal(count, C)).softmax(1).numpy()
    return probs - np.eye(C, dtype=np.float32)[probs.argmax(1)], normal(count, width, seed=1)


def seeded(residual: Rows, embedding: Rows, acq: int, seed: int = 0, chunk: int = 64) -> list[int]:
    return k_means_pp(residual, embedding, acq, np.random.default_rng(seed), chunk).tolist()


def plain_k_means_pp(gradient: np.ndarray, acq: int, seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    rng.random(len(gradient))  # what the library draws to break ties for the first centre
    chosen = [int((gradient**2).sum(1).argmax())]
    while len(chosen) < acq:
        weight = ((gradient[:, None] - gradient[chosen]) ** 2).sum(2).min(1)
        chosen.append(int(rng.choice(len(weight), p=weight / weight.sum())))
    return chosen


@pytest.mark.parametrize("chunk", [7, 299, 4096])
def test_k_means_pp_is_the_plain_one_on_explicit_gradients(chunk: int) -> None:
    residual, embedding = samples()
    alike_and_far_from_the_origin = residual[:1].repeat(N, 0), embedding + 1e3
    for a, h in ((residual, embedding), alike_and_far_from_the_origin):
        for seed in range(3):
            expected = plain_k_means_pp(gradients(a, h), 40, seed)
            assert seeded(a, h, 40, seed, chunk) == expected


def test_k_means_pp_draws_by_squared_distance() -> None:
    residual, embedding = samples(12)
    picks = [seeded(residual, embedding, 2, seed) for seed in range(4000)]
    gradient = gradients(residual, embedding)
    first = (gradient**2).sum(1).argmax()
    weight = ((gradient - gradient[first]) ** 2).sum(1)
    assert {pick[0] for pick in picks} == {first}
    observed = np.bincount([pick[1] for pick in picks], minlength=12)
    assert observed[first] == 0
    observed, weight = np.delete(observed, first), np.delete(weight, first)
    assert chisquare(observed, weight / weight.sum() * 4000).pvalue > 1e-3


@pytest.mark.parametrize("copies", [1, 4])
def test_k_means_pp_never_takes_a_sample_twice(copies: int) -> None:
    residual, embedding = (rows.repeat(copies, 0) for rows in samples(40, width=64))
    for seed in range(20):
        chosen = seeded(residual, embedding, len(residual), seed)
        assert sorted(chosen) == list(range(len(residual)))


def test_k_means_pp_is_uniform_when_no_gradient_is_left() -> None:
    picks = [i for s in range(400) for i in seeded(np.zeros((20, C)), normal(20, D), 3, s)]
    assert chisquare(np.bincount(picks, minlength=20)).pvalue > 1e-3


def mapped(path: Path, rows: np.ndarray) -> np.ndarray:
    np.save(path, rows)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_on_disk_tensors_and_any_chunk_give_the_same(tmp_path: Path, dtype: type) -> None:
    residual, embedding = samples()
    arrays = {"a": residual, "h": embedding, "l": normal(20, D, seed=2)}
    arrays |= {name: rows.astype(dtype) for name, rows in arrays.items()}
    disk = {name: mapped(tmp_path / f"{name}.npy", rows) for name, rows in arrays.items()}
    tensors = {name: torch.from_numpy(rows) for name, rows in arrays.items()}
    batches: tuple[list[list[int]], ...] = [], []
    for source in (arrays, disk, tensors):
        for chunk in (7, 4096):
            batches[0].append(seeded(source["a"], source["h"], 30, 0, chunk))
            batches[1].append(farthest(source["h"], source["l"], 30, 0, chunk))
    assert all(batch == same[0] for same in batches for batch in same)


MEMORY = """
import numpy as np
from ialelib.greedy import k_centre, k_means_pp
from ialelib.utils.rows import Rows

def memory(kind):
    return int(open("/proc/self/status").read().split(kind + ":")[1].split()[0]) * 1024

def choose(n, acq):
    {choice}

rng = np.random.default_rng(0)
a, h = rng.random((50_000, 10), dtype=np.float32), rng.random((50_000, 64), dtype=np.float32)
choose(200, 30)
before = memory("VmRSS")
choose(50_000, 30)
print(memory("VmHWM") - before)
"""
CHOICES = {
    "k_means_pp(a[:n], h[:n], acq, rng)": 50_000 * 10 * 64 * 4,
    "k_centre(h[: n // 5], h[-n // 4 :], acq, rng)": 10_000 * 12_500 * 4,
    "k_centre(0 * h[:n], 0 * h[: n // 25], acq, rng, 1000)": 50_000 * 2_000 * 4,
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("choice", "matrix"), CHOICES.items())
def test_memory_stays_far_below_the_whole_matrix(choice: str, matrix: int) -> None:
    # In a process of its own, whose peak is the only place where PyTorch's memory shows.
    command = [sys.executable, "-c", MEMORY.format(choice=choice)]
    extra = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert extra < matrix / 3


A, H = samples(20)
BROKEN = [np.where(np.arange(20)[:, None] == 13, bad, H) for bad in (np.nan, np.inf, -np.inf)]


@pytest.mark.parametrize("bad", BROKEN)
def test_numbers_that_are_not_finite_are_refused(bad: np.ndarray) -> None:
    cases = (seeded, A, bad), (seeded, bad, H), (farthest, bad, H), (farthest, H, bad)
    for choose, first, second in cases:
        with pytest.raises(InputError, match="must be finite"):
            choose(first, second, 3, chunk=5)


def test_only_what_fits_is_accepted() -> None:
    with pytest.raises(InputError, match="21 exceeds the 20"):
        seeded(A, H, 21)
    with pytest.raises(InputError, match="21 exceeds the 20"):
        farthest(H, H, 21)
    for none in (0, -1):
        with pytest.raises(InputError, match=f"acquisition size must be 1 or more, not {none}"):
            farthest(H, H, none)
    with pytest.raises(InputError, match="19 residuals do not match 20"):
        seeded(A[1:], H, 3)
    with pytest.raises(InputError, match="one length"):
        farthest(H, H[:, 1:], 3)
