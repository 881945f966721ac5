"""Without a home folder, or with one that takes no files, all works that needs none."""

import os
import subprocess
import sys

import pytest

NOBODY = """
import os, pwd
def unknown(*_):
    raise KeyError("no such user")
os.environ.pop("HOME", None)
pwd.getpwuid = pwd.getpwnam = unknown
"""
UNWRITABLE = 'import os; os.environ["HOME"] = "/proc/none"'
WRITES = """
import os, sys
OPENED = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def watch(event, args):
    if event == "os.mkdir" or event == "open" and args[2] & OPENED and args[0] != os.devnull:
        raise SystemExit(f"written: {args}")
sys.addaudithook(watch)
"""
CHOICES = """
import numpy as np, torch, ialelib as iale
images = np.random.default_rng(0).standard_normal((200, 8)).astype("float32")
labels, known = np.arange(200) % 2, np.arange(10)
net = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
print(len(iale.next_batch(net, images, known, labels[:10], acq=3)))
print(len(iale.next_batch(embeddings=images, labelled=known, labels=labels[:10], acq=3)))
"""
REST = """
import warnings
print(len(iale.load_data("mnist-10k").test_labels))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    from ialelib.kernels import jit
print(jit.FOLDER)
print(*(each.message for each in said if each.category is UserWarning))
for call in (
    lambda: iale.data.download("svhn", iale.data.folder()),
    lambda: iale.inference.extract(np.zeros((1, 8, 8), "uint8"), folder="/proc/none/kept"),
    lambda: iale.LabelStore("/proc/none/labels.sqlite", ["cat", "dog"]),
):
    try:
        call()
    except iale.InputError as error:
        print(error)
"""
SET = ("XDG_", "IALE_DATA", "NUMBA_")


def lines(code: str) -> list[str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith(SET)}
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_choosing_a_batch_writes_nowhere() -> None:
    assert lines(WRITES + CHOICES) == ["3", "3"]


@pytest.mark.parametrize(
    ("home", "why"),
    [(NOBODY, "no home folder is known"), (UNWRITABLE, r"/proc/none")],
    ids=["unknown", "unwritable"],
)
def test_what_needs_a_home_says_so_in_a_line(home: str, why: str) -> None:
    one, two, samples, folder, warning, svhn, pieces, store = lines(home + CHOICES + REST)
    assert (one, two, samples, folder) == ("3", "3", "2000", "None")
    assert "every process compiles anew" in warning
    assert why in warning
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in warning
    assert why in svhn
    for line in (pieces, store):
        assert line.startswith("/proc/none/")
        assert line.endswith("name a folder that takes files")
