"""Candidates that do not fit in memory: arrays mapped from files, encoded in chunks."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ialelib import policy as policies
from ialelib.policy import Policy
from ialelib.state import CLASS_FREE, FULL, State, StateParts, blocks, describe, encode
from ialelib.utils.cpu import one_thread
from ialelib.utils.errors import InputError

C, D, N, ACQ = 4, 16, 50, 10
PROJECT = Path(__file__).parent.parent
WITHOUT_GRADIENT = StateParts(gradient="none")
PARTS = [FULL, CLASS_FREE, WITHOUT_GRADIENT]


@pytest.fixture(autouse=True)
def on_one_thread() -> Iterator[None]:
    """Else each small step waits for the second core, where another process wants it."""
    with one_thread():
        yield


def drawn(logits_N_C: Tensor | np.ndarray, embedding_N_D: Tensor | np.ndarray) -> State:
    """The state of those candidates, with a random labelled set and head."""
    rng = torch.Generator().manual_seed(1)
    labelled = torch.randn(9, C, generator=rng), torch.randn(9, D, generator=rng).relu()
    head = torch.randn(C, D, generator=rng)
    return describe(logits_N_C, embedding_N_D, *labelled, torch.arange(9) % C, head)


@pytest.fixture
def state() -> State:
    rng = torch.Generator().manual_seed(0)
    return drawn(3 * torch.randn(N, C, generator=rng), torch.randn(N, D, generator=rng).relu())


def on_disk(state: State, folder: Path, dtype: str = "float32") -> State:
    """The same state with its candidates in files."""
    files = []
    for name in ("logits_N_C", "embedding_N_D"):
        np.save(folder / f"{name}.npy", np.asarray(getattr(state, name)).astype(dtype))
        files.append(np.load(folder / f"{name}.npy", mmap_mode="r"))
    assert all(isinstance(file, np.memmap) for file in files)
    return drawn(*files)


@pytest.fixture
def mapped(state: State, tmp_path: Path) -> State:
    return on_disk(state, tmp_path)


def policy(parts: StateParts = FULL) -> Policy:
    torch.manual_seed(2)
    return Policy(C, D, parts).eval()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many candidates are encoded at a time."""
    seen: list[int] = []

    def spy(state: State, parts: StateParts) -> Tensor:
        seen.append(len(state))
        return encode(state, parts)

    monkeypatch.setattr(policies, "encode", spy)
    return seen


# Mapped arrays


@pytest.mark.parametrize("parts", PARTS)
def test_mapped_candidates_are_encoded_as_those_in_memory(
    state: State, mapped: State, parts: StateParts
) -> None:
    assert torch.equal(encode(mapped, parts), encode(state, parts))


@pytest.mark.parametrize("parts", PARTS)
def test_mapped_candidates_are_chosen_as_those_in_memory(
    state: State, mapped: State, parts: StateParts
) -> None:
    assert torch.equal(policy(parts).scores(mapped), policy(parts).scores(state))
    assert np.array_equal(policy(parts).choose(mapped, ACQ), policy(parts).choose(state, ACQ))


def test_describe_leaves_the_candidates_in_their_files(mapped: State) -> None:
    assert isinstance(mapped.logits_N_C, np.memmap)
    assert isinstance(mapped.embedding_N_D, np.memmap)


def test_what_is_read_from_a_file_can_be_changed_without_changing_the_file(mapped: State) -> None:
    before = np.array(mapped.embedding_N_D)
    torch.as_tensor(mapped.rows(0, 5).embedding_N_D).zero_()
    blocks(mapped, FULL)["embedding"].zero_()
    assert np.array_equal(before, mapped.embedding_N_D)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_files_in_other_numbers_are_read_as_float32(
    state: State, tmp_path: Path, dtype: str
) -> None:
    # Logits of half precision are off by about 1e-3.
    found = encode(on_disk(state, tmp_path, dtype))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, encode(state), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("kind", ["in memory", "mapped"])
def test_rows_are_those_candidates_and_the_same_labelled_set(
    state: State, tmp_path: Path, kind: str
) -> None:
    given = on_disk(state, tmp_path) if kind == "mapped" else state
    some = given.rows(3, 7)
    assert isinstance(some.logits_N_C, Tensor)
    assert isinstance(some.embedding_N_D, Tensor)
    assert (len(given), len(some), len(given.rows()), len(given.rows(45, 99))) == (N, 4, N, 5)
    assert torch.equal(encode(some), encode(state)[3:7])
    assert torch.equal(encode(given.rows()), encode(state))


# Chunks


@pytest.mark.parametrize("chunk", [1, 7, N - 1, N, N + 1])
def test_chunks_change_nothing(
    state: State, monkeypatch: pytest.MonkeyPatch, sizes: list[int], chunk: int
) -> None:
    scores_N, choice = policy().scores(state), policy().choose(state, ACQ)
    sizes.clear()
    monkeypatch.setattr(policies, "CHUNK", chunk)
    torch.testing.assert_close(policy().scores(state), scores_N)
    assert sum(sizes) == N
    assert max(sizes) == min(chunk, N)
    assert np.array_equal(policy().choose(state, ACQ), choice)


def test_usual_chunk_is_bounded(sizes: list[int]) -> None:
    many = drawn(torch.zeros(20_000, C), torch.zeros(20_000, D))
    assert policy().scores(many).shape == (20_000,)
    assert sum(sizes) == 20_000
    assert max(sizes) <= 10_000


def test_no_candidates_have_no_scores(state: State) -> None:
    assert policy().scores(state.rows(0, 0)).shape == (0,)
    with pytest.raises(InputError, match="acquisition size 1 exceeds the 0"):
        policy().choose(state.rows(0, 0), 1)


def test_ties_across_chunks_are_broken_at_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "CHUNK", 10)
    equal, chooser = drawn(torch.ones(N, C), torch.ones(N, D)), policy()
    picks = {int(chooser.choose(equal, 1, np.random.default_rng(s))[0]) for s in range(60)}
    assert {position // 10 for position in picks} == set(range(5))


# NaN


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["logits_N_C", "embedding_N_D"])
@pytest.mark.parametrize("parts", PARTS)
def test_numbers_that_are_none_are_refused_in_one_sentence(
    state: State, monkeypatch: pytest.MonkeyPatch, parts: StateParts, name: str, value: float
) -> None:
    monkeypatch.setattr(policies, "CHUNK", 7)
    rows = torch.as_tensor(getattr(state, name)).clone()
    rows[-1, 1] = value
    wrong = replace(state, **{name: rows})
    for ask in (policy(parts).scores, lambda given: policy(parts).choose(given, ACQ)):
        with pytest.raises(InputError) as error:
            ask(wrong)
        assert str(error.value) == "the logits or embeddings hold NaN or infinite values"


def test_a_class_ruled_out_by_an_infinitely_low_logit_is_no_error(state: State) -> None:
    logits_N_C = torch.as_tensor(state.logits_N_C).clone()
    logits_N_C[:, 1] = -torch.inf
    assert bool(policy().scores(replace(state, logits_N_C=logits_N_C)).isfinite().all())


# Memory

MANY = """
import sys; sys.path.insert(0, "tests")
from pathlib import Path
import numpy as np, torch
from ialelib import policy, state
from toys import peak
folder, (n, classes, width) = Path(sys.argv[1]), (200_000, 10, 128)
found = {}
for name, columns in (("logits", classes), ("embedding", width)):
    file = np.lib.format.open_memmap(folder / name, "w+", np.float32, (n, columns))
    for start in range(0, n, 10_000):
        file[start : start + 10_000] = np.random.default_rng(start).random((10_000, columns))
    file.flush()
    found[name] = np.load(folder / name, mmap_mode="r")
few = [torch.ones(5, columns) for columns in (classes, width)]
many = state.describe(found["logits"], found["embedding"], *few, torch.arange(5))
chooser = policy.Policy(classes, width)
chooser.choose(many.rows(0, 100), 10)
before = peak()
assert len(set(chooser.choose(many, 1000))) == 1000
print(peak() - before)
"""


def test_choosing_from_200_000_mapped_candidates_takes_less_than_400_mb(tmp_path: Path) -> None:
    # Their encoding has 1.25 GB.
    command = [sys.executable, "-c", MANY, str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert 0 <= int(done.stdout) < 400e6
