"""Files are written whole or not at all, and broken array files are refused."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ialelib import data, labelling, policy
from ialelib.cycle import CycleConfig
from ialelib.experiments import compare
from ialelib.inference import next_batch
from ialelib.params.learning import ToyGaussians
from ialelib.runner import check
from ialelib.utils import files
from ialelib.utils.errors import InputError
from ialelib.utils.files import atomic

ROOT = Path(__file__).parents[2]

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


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_modes_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    path = tmp_path / "result.txt"
    before = os.umask(mask)
    try:
        with atomic(path) as temporary:
            temporary.write_text("new")
        policy.save_policy(policy.fresh_policy(2, 4), tmp_path / "mine.safetensors")
        labelling.LabelStore(tmp_path / "mine.sqlite", ["cat", "dog"])
    finally:
        os.umask(before)
    assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {mode}


def test_a_symbolic_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "result.txt"
    linked, folder = tmp_path / "result.txt", tmp_path / "folder"
    linked.symlink_to("elsewhere/result.txt")  # which is not there yet
    folder.symlink_to(real.parent)
    for path, text in ((linked, "one"), (folder / "result.txt", "two")):
        with atomic(path) as temporary:
            temporary.write_text(text)
        assert (real.read_text(), linked.is_symlink(), folder.is_symlink()) == (text, True, True)
    assert list(real.parent.iterdir()) == [real]


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
    (left,) = set(tmp_path.iterdir()) - {path}
    with atomic(tmp_path / "other.txt"):
        pass
    assert left.exists()  # it could be another process's, at work
    os.utime(left, (0, 0))
    with atomic(tmp_path / "other.txt"):
        pass
    assert not left.exists()


def test_what_killed_writes_leave_is_taken_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "SHIPPED", [tmp_path])
    monkeypatch.setenv("IALE_DATA", str(tmp_path))
    (tmp_path / "params").mkdir()
    for folder, name in (("", "mine.safetensors"), ("", "mine.npz"), ("params", "mine.yaml")):
        with atomic(tmp_path / folder / name) as temporary:
            shutil.copy(temporary, temporary.with_stem(f"{temporary.stem}-left"))
        (tmp_path / folder / name).unlink()
    with pytest.raises(InputError, match=r"unknown policy 'mine'\. Accepted: $"):
        policy.load_policy("mine")
    assert not [name for name in data.available() if "mine" in name]
    with pytest.raises(InputError, match="no params files"):
        check.batch(tmp_path / "params")


# Paths as users give them


def test_a_tilde_is_the_home_folder_wherever_a_path_enters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: data.DataSet
) -> None:
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("IALE_DATA", "~/sets")
    monkeypatch.chdir(cwd)
    policy.save_policy(policy.fresh_policy(2, 4), "~/mine.safetensors")
    assert policy.load_network("~/mine.safetensors").embedding == 4
    labelling.LabelStore("~/labels.sqlite", ["cat", "dog"]).export("~/labels.csv")
    compare(toy, CycleConfig("toy_mlp", 20, 20, 10, 50), ["random"], [0], folder="~/runs")
    settings = ToyGaussians.model_construct(figures="~/figures", runs="~/runs")
    made = [settings.path("curves.csv").parent, settings.runs_folder(), data.folder()]
    assert made == [home / "figures", home / "runs" / "01_toy_gaussians", home / "sets"]
    assert {path.name for path in home.iterdir()} == {
        *("mine.safetensors", "labels.sqlite", "labels.csv", "runs", "figures")
    }
    assert list(cwd.iterdir()) == []


def test_a_home_that_nobody_knows_is_said() -> None:
    with pytest.raises(InputError, match="no home folder is known for ~nobody-here/x: set HOME"):
        policy.load_policy("~nobody-here/x")


def test_relative_paths_are_the_same_in_the_check_and_in_a_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_index.ipynb").touch()
    policy.save_policy(policy.fresh_policy(2, 4), tmp_path / "runs" / "mine.safetensors")
    monkeypatch.setenv("IALE_DATA", "sets")
    for where in (tmp_path, tmp_path / "notebooks"):
        monkeypatch.chdir(where)
        assert data.folder() == tmp_path / "sets"
        assert policy.load_network("runs/mine.safetensors").embedding == 4


def test_from_outside_the_project_is_the_packages_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.project() == ROOT
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site/ialelib/utils/files.py"))
    assert files.project() == tmp_path


def chosen() -> list[int]:
    embeddings = np.random.default_rng(0).standard_normal((50, 4))
    known = np.arange(10)
    return list(next_batch(embeddings=embeddings, labelled=known, labels=known % 2, acq=3))


def test_a_batch_is_chosen_in_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = chosen()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert chosen() == before


def test_a_batch_is_chosen_where_one_must_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, look = chosen(), os.stat
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IALE_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def stat(path: Any, **options: Any) -> os.stat_result:
        locked = isinstance(path, str | Path) and tmp_path in Path(os.path.abspath(path)).parents
        if locked:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    assert chosen() == before
    assert data.load_data("mnist-10k").classes == 10


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


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "it is a web page"),
        (b"<html lang='en'>", "it is a web page"),
        (b'{"message": "Not Found"}', "it is plain text"),
        (b"\x93NUMPY\x01\x00v\x00", "it is a single array"),
        (pickle.dumps({"train_images": 1}), "it is a pickle"),
        (b"PK\x03\x04\x14\x00", "it is cut off"),
        (b"\x1f\x8b\x08\x00\x00", "it is of another kind"),
    ],
)
def test_other_files_are_refused_as_what_they_are(
    empty_data_folder: Path, content: bytes, what: str
) -> None:
    path = empty_data_folder / "own.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{path} is not a readable array file: .*{what}") as error:
        data.load_data("own")
    assert "allow" not in str(error.value)
    assert error.value.__suppress_context__


def test_pickles_in_an_archive_are_no_arrays_and_never_read(empty_data_folder: Path) -> None:
    objects = np.array([None, "cat"], dtype=object)
    np.savez(empty_data_folder / "own.npz", **{**arrays(), "test_labels": objects})
    with pytest.raises(InputError, match=r"own\.npz .*it holds Python objects; delete") as error:
        data.load_data("own")
    assert "allow" not in str(error.value)


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
