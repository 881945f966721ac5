"""Large pools: what the generalist looks at, and that small ones are looked at whole."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ialelib import generalist
from ialelib.features import NAMES
from ialelib.generalist import Generalist, shortlist
from ialelib.utils.errors import InputError
from ialelib.utils.rows import read

PROJECT = Path(__file__).parents[1]
N, L, C, D = 500, 12, 3, 8


def policy() -> Generalist:
    weights = torch.Generator().manual_seed(3)
    return Generalist(torch.randn(len(NAMES), 2, generator=weights))


def known() -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(2)
    return torch.randn(L, D, generator=rng), torch.arange(L) % C


@pytest.fixture
def pool() -> tuple[Tensor, Tensor]:
    """Probabilities N x C and embeddings N x D."""
    rng = torch.Generator().manual_seed(1)
    return torch.randn(N, C, generator=rng).softmax(1), torch.randn(N, D, generator=rng)


def margins(probs_N_C: Tensor) -> np.ndarray:
    first, second = probs_N_C.topk(2).values.unbind(1)
    return (first - second).numpy()


def short(monkeypatch: pytest.MonkeyPatch, size: int, chunk: int = 64) -> None:
    monkeypatch.setattr(generalist, "SHORTLIST", size)
    monkeypatch.setattr(generalist, "CHUNK", chunk)


def test_a_small_pool_is_looked_at_whole_and_draws_no_random_number(
    pool: tuple[Tensor, Tensor],
) -> None:
    rng = np.random.default_rng(0)
    some = shortlist(pool[0].__getitem__, N, 10, rng)
    np.testing.assert_array_equal(some, np.arange(N))
    assert rng.random() == np.random.default_rng(0).random()


def test_half_of_the_shortlist_is_least_certain_and_half_random(
    pool: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 100)
    some = shortlist(pool[0].__getitem__, N, 10, np.random.default_rng(0))
    assert len(np.unique(some)) == 100
    assert (np.diff(some) > 0).all()
    order = np.argsort(margins(pool[0]))
    assert set(order[:50]) <= set(some)
    others = np.setdiff1d(some, order[:50])
    assert np.median(margins(pool[0])[others]) > margins(pool[0])[order[50]]
    again = shortlist(pool[0].__getitem__, N, 10, np.random.default_rng(1))
    assert 50 <= len(np.intersect1d(some, again)) < 80


def test_a_large_batch_has_a_shortlist_of_twice_its_size(
    pool: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 100)
    assert len(shortlist(pool[0].__getitem__, N, 80, np.random.default_rng(0))) == 160
    assert len(set(policy().choose(*pool, *known(), N, np.random.default_rng(0)))) == N


def test_a_choice_from_mapped_files_is_that_from_memory(
    pool: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short(monkeypatch, 100)
    mapped = []
    for name, rows in zip(("probs", "embedding"), pool, strict=True):
        np.save(tmp_path / f"{name}.npy", rows.numpy())
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    found = policy().choose(mapped[0], mapped[1], *known(), 7, np.random.default_rng(5))
    expected = policy().choose(*pool, *known(), 7, np.random.default_rng(5))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(mapped[0], pool[0])


def test_every_pick_has_the_scores_that_it_is_the_best_of(pool: tuple[Tensor, Tensor]) -> None:
    given = *pool, *known(), 6
    chosen, score_A_N = policy().pick(*given, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, policy().choose(*given, np.random.default_rng(0)))
    for pick, score_N in enumerate(score_A_N.numpy()):
        assert np.nanargmax(score_N) == chosen[pick]
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(score_N)), np.sort(chosen[:pick]))


def test_scattered_rows_of_a_file_are_read_in_their_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((1000, 3)).astype(np.float16)
    np.save(tmp_path / "rows.npy", values)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    which = np.random.default_rng(1).permutation(1000)[:500]
    for rows, first in ((mapped, 0), (mapped[200:], 200)):
        found = which[which < 800]
        expected = values[first + found].astype(np.float32)
        np.testing.assert_array_equal(read(rows, found), expected)
        np.testing.assert_array_equal(read(rows, slice(3, 9)), values[first + 3 : first + 9])


MANY = """
import sys; sys.path.insert(0, "tests")
from pathlib import Path
import numpy as np
from ialelib import inference
from toys import peak
folder, (n, width) = Path(sys.argv[1]), (200_000, 640)
with (folder / "rows").open("wb") as file:
    for start in range(0, n, 10_000):
        piece = np.random.default_rng(start).random((10_000, width), dtype=np.float32)
        piece.astype(np.float16).tofile(file)
rows = np.memmap(folder / "rows", np.float16, "r", shape=(n, width))
known = {"labelled": np.arange(50), "labels": np.arange(50) % 5}
inference.next_batch(embeddings=rows[:5000], **known)
before = peak()
assert len(set(inference.next_batch(embeddings=rows, acq=100, **known))) == 100
print(peak() - before)
"""


def test_a_probe_and_the_generalist_on_256_mb_of_mapped_embeddings_take_less_than_100_mb(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert 0 <= int(done.stdout) < 100e6


def test_more_than_there_are_is_refused(pool: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(InputError, match="501"):
        policy().choose(*pool, *known(), 501, np.random.default_rng(0))
