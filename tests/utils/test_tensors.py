"""Files of tensors: what was written comes back, or the file is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ialelib.utils import tensors

TENSORS = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.tensor([True, False])}
HEADER = {"about": "two tensors", "kind": "test", "more": "1", "most": "2"}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file of two tensors."""
    path = tmp_path / "two.safetensors"
    tensors.save(TENSORS, HEADER, path)
    return path


def test_tensors_and_texts_come_back(written: Path) -> None:
    found, header = tensors.load(written)
    assert header == HEADER
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


def test_the_same_content_is_the_same_bytes(written: Path, tmp_path: Path) -> None:
    for _ in range(5):
        tensors.save(TENSORS, HEADER, tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == written.read_bytes()


def test_no_flipped_bit_goes_unseen(written: Path) -> None:
    whole = written.read_bytes()
    for bit in np.random.default_rng(0).permutation(8 * len(whole))[:300]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        written.write_bytes(damaged)
        try:
            found, header = tensors.load(written)
        except tensors.DamagedError:
            continue
        # A bit of the format's own layout, such as a blank: nothing else came back.
        assert header == HEADER
        assert all(torch.equal(found[name], TENSORS[name]) for name in TENSORS)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\0" * 100])
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.safetensors"
    path.write_bytes(content)
    with pytest.raises(tensors.DamagedError):
        tensors.load(path)
    with pytest.raises(tensors.DamagedError):
        tensors.load(tmp_path / "missing.safetensors")
