"""Compiled code is kept for all processes, and made anew when any file of the kernels changes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numba import config

from ialelib import kernels
from ialelib.kernels import jit

ROOM = Path(jit.__file__).parent
SCRIPT = """
import hashlib, sys, numpy as np, torch
from ialelib import training
from ialelib.models import Architecture
from ialelib.recipes import Recipe, TrainJob
images, labels = np.arange(2 * 28 * 28).astype(np.uint8).reshape(2, 28, 28), np.arange(2)
job = TrainJob(Architecture("cnn", 10, (28, 28)), images, labels, Recipe(steps=2), 0, 0)
training.predict(job.fresh().eval(), images)
assert "numba" not in sys.modules, "prediction needs no compiler"
weights = [value.numpy().tobytes() for value in training.fit(job).state_dict().values()]
print(hashlib.sha256(b"".join(weights)).hexdigest())
from ialelib.kernels import backward, common, dense, forward, head
used = (
    common.look_up, forward.forward, dense.dense, head.head,
    dense.dense_backward, backward.backward, head.adam,
)
print(*(sum(f.stats.cache_hits.values()) for f in used))
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """A process that trains, with compiled code in this folder."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder), "IALE_KERNELS": "on"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str, list[str]]:
    """Digest of the weights, how often kernels came from the folder, and lines of warning."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    weights, hits = out.splitlines()
    return weights, hits, [line for line in err.splitlines() if "Warning" in line]


def test_kernels_are_compiled_once_for_all_processes(tmp_path: Path) -> None:
    at_once = [start(tmp_path / "kept") for _ in range(2)]
    first, second = map(ended, at_once)
    later = ended(start(tmp_path / "kept"))
    assert later[1] == " ".join("1" * 7)
    (tmp_path / "file").touch()
    without = ended(start(tmp_path / "file" / "folder"))
    assert without[1] == " ".join("0" * 7)
    assert len({run[0] for run in (first, second, later, without)}) == 1, "other weights"
    assert first[2] == second[2] == later[2] == []
    (warning,) = without[2]
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in warning


def test_code_is_kept_in_another_folder_when_any_file_changes(tmp_path: Path) -> None:
    copy = tmp_path / "kernels"
    shutil.copytree(ROOM, copy, ignore=shutil.ignore_patterns("__pycache__"))
    seen = {jit.digest(ROOM)}
    assert jit.digest(copy) in seen
    for path in sorted(copy.iterdir()):
        path.write_text(path.read_text() + "# changed\n")
        assert jit.digest(copy) not in seen, path
        seen.add(jit.digest(copy))
    (copy / "sub").mkdir()
    (copy / "common.py").rename(copy / "sub" / "common.py")
    assert jit.digest(copy) not in seen


def test_folder_is_the_users_cache_or_the_one_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jit, "user_cache", lambda: tmp_path / "cache")
    for named, top in (("", "cache/kernels"), (str(tmp_path / "named"), "named")):
        monkeypatch.setitem(vars(config), "CACHE_DIR", named)
        assert jit.cache_folder() == str(tmp_path / top / jit.digest(ROOM))
        assert (tmp_path / top / jit.digest(ROOM)).is_dir()


def test_folder_that_cannot_be_written_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setitem(vars(config), "CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="every process compiles anew") as said:
        assert jit.cache_folder() is None
    assert len(said) == 1


def test_other_code_of_numbas_is_kept_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(x: int) -> int:
        return x

    monkeypatch.setattr(jit, "FOLDER", str(tmp_path))
    monkeypatch.setitem(vars(config), "CACHE_LOCATOR_CLASSES", "InTreeCacheLocator")
    before = dict(vars(config))
    assert Path(jit.kernel(same).stats.cache_path).parent == tmp_path
    assert vars(config) == before
    with pytest.raises(TypeError):
        jit.kernel(None)  # type: ignore[arg-type]
    assert vars(config) == before


def test_what_is_compiled_first_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jit, "FOLDER", str(tmp_path))
    monkeypatch.setattr("ialelib.utils.progress.watched", lambda: True)
    monkeypatch.setattr(kernels, "_train", lambda model, job: None)
    for line in (
        "Compiling the training of the CNN for this processor, once: half a minute ...",
        "",
    ):
        assert kernels._compiled.__wrapped__()
        assert capfd.readouterr().err.strip() == line
    monkeypatch.setattr(jit, "FOLDER", None)
    assert jit.first()
    assert jit.first()
