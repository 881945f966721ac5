"""Saving a figure: where, and the same bytes each time."""

import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from ialelib import plots

DRAW = """
import sys
from pathlib import Path
import matplotlib.pyplot as plt
from ialelib import plots
class Settings:
    def path(self, name):
        return Path(sys.argv[1]) / f"99_test_{name}"
figure, ax = plt.subplots()
ax.plot([1, 2], label="a line")
ax.legend()
plots.save(figure, Settings(), "curves")
"""


def test_a_figure_is_saved_twice_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        subprocess.run([sys.executable, "-c", DRAW, str(folder)], check=True)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert set(found[0]) == {"99_test_curves.svg", "99_test_curves.png"}
    assert found[0] == found[1]


def test_a_refused_name_writes_nothing(tmp_path: Path) -> None:
    class Settings:
        def path(self, name: str) -> Path:
            raise KeyError(name)

    with pytest.raises(KeyError, match=r"curves\.svg"):
        plots.save(plt.figure(), Settings(), "curves")
    assert not list(tmp_path.iterdir())


def test_the_rooms_main_names_and_files_are_listed_and_found() -> None:
    for name in dir(plots):
        assert getattr(plots, name) is not None
    assert {"save", "learning_curves", "aubc_gains", "toy", "acquisition"} <= set(dir(plots))
