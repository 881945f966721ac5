"""Two hundred damaged files: each is named, and made again or refused; none is believed."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys import TINY

from ialelib.dagger import run_folder, train_policy
from ialelib.data import DataSet
from ialelib.inference import backbones
from ialelib.policy import Policy, load_policy, save_policy
from ialelib.utils import cache
from ialelib.utils.errors import InputError

PAGE = b"<!DOCTYPE html><title>404</title>"


def damaged(whole: bytes, seed: int) -> bytes:
    """The content of a file after an accident: of ten kinds, at a random place."""
    rng = np.random.default_rng(seed)
    at = int(rng.integers(1, len(whole) - 1))
    size = int(rng.integers(1, min(64, len(whole) - at) + 1))
    bit = bytes([whole[at] ^ (1 << int(rng.integers(8)))])
    kinds = [
        whole[:at],  # cut off
        whole[at:],  # its beginning lacks
        whole[:at] + bit + whole[at + 1 :],
        whole[:at] + whole[at + size :],
        whole[:at] + whole[at : at + size] + whole[at:],  # a piece twice
        whole[:at] + bytes(size) + whole[at + size :],
        whole[:at] + rng.bytes(size) + whole[at + size :],
        whole + rng.bytes(size),
        PAGE + whole[len(PAGE) :],
        [b"", bytes(len(whole)), PAGE, b"version https://git-lfs.github.com/spec/v1\n"][seed % 4],
    ]
    return kinds[seed % len(kinds)]


def check(path: Path, seeds: range, again: Callable[[], bool]) -> int:
    """How many of the damaged files differ from the whole one: `again` says if all is well.

    Either the file is named in a warning or an error, or it gives what the whole one does, as where
    a bit of a format's own layout has changed.
    """
    whole, seen = path.read_bytes(), 0
    for seed in seeds:
        content = damaged(whole, seed)
        path.write_bytes(content)
        refused = ""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                assert again(), f"damage {seed} is believed"
            except InputError as error:
                refused = str(error)
        assert not refused or path.name in refused
        aside = path.with_name(f"{path.name}.damaged")
        named = any(path.name in str(warning.message) for warning in said)
        assert named == aside.exists()
        if named:
            assert aside.read_bytes() == content
            assert path.read_bytes() != content
            aside.unlink()
        seen += bool(refused or named)
        path.write_bytes(whole)
    return seen


def test_tables(tmp_path: Path) -> None:
    table = pd.DataFrame({"labels": range(10, 110, 10), "accuracy": np.linspace(0.1, 0.9, 10)})
    path = tmp_path / "cycle.csv"
    first = cache.run({path: table.copy}, 1, "tables")
    assert check(path, range(60), lambda: cache.run({path: table.copy}, 1, "t").equals(first)) == 60


@pytest.mark.parametrize("name", ["episode-002.safetensors", "policy-002.safetensors"])
def test_checkpoints(toy: DataSet, tmp_path: Path, name: str) -> None:
    policy, history = train_policy(toy, TINY, tmp_path)
    history = history.drop(columns="seconds")

    def same() -> bool:
        again, rows = train_policy(toy, TINY, tmp_path)
        return again.fingerprint() == policy.fingerprint() and history.equals(
            rows.drop(columns="seconds")
        )

    path = run_folder(tmp_path, toy, TINY) / name
    assert check(path, range(35), same) >= 33


def test_policies(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_policy(Policy(10, 128), path)
    print_ = load_policy(path).fingerprint()
    assert check(path, range(35), lambda: load_policy(path).fingerprint() == print_) >= 33


def test_pieces_of_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "ready", lambda *_: None)
    monkeypatch.setattr(backbones, "embed", lambda _, images, *__: np.float16(images[:, 0, :4]))
    images = np.random.default_rng(0).integers(0, 255, (30, 8, 8), np.uint8)
    first = backbones.extract(images, folder=tmp_path)
    (path,) = tmp_path.iterdir()

    def same() -> bool:
        return np.array_equal(backbones.extract(images, folder=tmp_path), first)

    assert check(path, range(35), same) >= 28
