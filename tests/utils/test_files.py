"""Files are written whole or not at all, and broken array files are refused."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ialelib import data
from ialelib.utils.errors import InputError
from ialelib.utils.files import atomic

# Writing


def test_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_old_content_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def write_half(path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt


def test_exception_leaves_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folders_are_created(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "quick" / "result.txt"
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_temporary_file_has_the_same_suffix(tmp_path: Path) -> None:
    # Writers such as np.savez append a suffix to a name that lacks it.
    with atomic(tmp_path / "result.npz") as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".npz")


def test_result_is_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o644


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    with atomic(path) as first, atomic(path) as second:
        first.write_text("first")
        second.write_text("second")
    # The outer block ends last.
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys, time
from pathlib import Path
from ialelib.utils.files import atomic
with atomic(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_kill_in_the_middle_leaves_old_content(tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("old")
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", WRITER, str(path)]
    environment = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert process.returncode == -9
    assert path.read_text() == "old"


# Reading


def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "train_images": rng.integers(0, 256, (12, 5, 4), dtype=np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_images": rng.integers(0, 256, (6, 5, 4), dtype=np.uint8),
        "test_labels": np.arange(6) % 3,
    }


WRONG_ARRAYS: dict[str, dict[str, Any]] = {
    "float images": {"train_images": np.zeros((12, 5, 4), np.float32)},
    "flat images": {"test_images": np.zeros((6, 20), np.uint8)},
    "channels first": {
        "train_images": np.zeros((12, 3, 8, 8), np.uint8),
        "test_images": np.zeros((6, 3, 8, 8), np.uint8),
    },
    "float labels": {"train_labels": np.zeros(12)},
    "one-hot labels": {"test_labels": np.eye(6, dtype=np.int64)},
    "a label too few": {"train_labels": np.zeros(11, np.int64)},
    "negative labels": {"test_labels": np.full(6, -1)},
    "no images": {"test_images": np.zeros((0, 5, 4), np.uint8), "test_labels": np.arange(0)},
    "different shapes": {"test_images": np.zeros((6, 4, 5), np.uint8)},
    "pickled objects": {"train_labels": np.array([None] * 12)},
}


def assert_refused(path: Path) -> None:
    """One error that names the file."""
    with pytest.raises(InputError) as error:
        data.load_data(path.stem)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("changes", WRONG_ARRAYS.values(), ids=WRONG_ARRAYS)
def test_wrong_arrays_are_refused(empty_data_folder: Path, changes: dict[str, Any]) -> None:
    path = empty_data_folder / "own.npz"
    np.savez(path, **{**arrays(), **changes})
    assert_refused(path)


@pytest.mark.parametrize("key", arrays())
def test_missing_array_is_named(empty_data_folder: Path, key: str) -> None:
    path = empty_data_folder / "own.npz"
    np.savez(path, **{name: value for name, value in arrays().items() if name != key})
    with pytest.raises(InputError, match=f"{path} lacks the arrays {key};"):
        data.load_data("own")


@pytest.mark.parametrize("content", [b"", b"no array file at all", b"\x93NUMPY\x01\x00v\x00"])
def test_other_files_are_refused(empty_data_folder: Path, content: bytes) -> None:
    path = empty_data_folder / "own.npz"
    path.write_bytes(content)
    assert_refused(path)


def test_single_array_under_the_name_of_an_archive_is_refused(empty_data_folder: Path) -> None:
    path = empty_data_folder / "own.npz"
    with path.open("wb") as file:
        np.save(file, arrays()["train_images"])
    assert_refused(path)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_truncated_file_is_refused(empty_data_folder: Path, kept: float) -> None:
    path = empty_data_folder / "own.npz"
    np.savez_compressed(path, **arrays())
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert_refused(path)


def test_flipped_byte_is_refused_or_harmless(empty_data_folder: Path) -> None:
    path = empty_data_folder / "own.npz"
    np.savez_compressed(path, **arrays())
    good, whole = data.load_data("own"), path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        try:
            loaded = data.load_data("own")
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(loaded.train_inputs, good.train_inputs)
            np.testing.assert_array_equal(loaded.test_labels, good.test_labels)
