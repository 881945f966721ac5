"""One notebook of a batch: a failed one leaves a log, and no two runs write to one place."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from ialelib.runner import execute
from ialelib.utils.machine import machine


@pytest.fixture
def papermill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in papermill's place, still empty."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    return tmp_path / "papermill.py"


def test_a_failed_notebook_leaves_no_result_but_a_log(tmp_path: Path, papermill: Path) -> None:
    papermill.write_text(
        "import sys, pathlib; pathlib.Path(sys.argv[-1]).write_text('log'); sys.exit(1)"
    )
    log, output = tmp_path / "log.ipynb", tmp_path / "output.ipynb"
    assert execute.execute(tmp_path / "a.ipynb", tmp_path / "a.yaml", log, output) == 1
    assert log.read_text() == "log"
    assert not output.exists()


def test_an_executed_notebook_names_its_machine(tmp_path: Path, papermill: Path) -> None:
    papermill.write_text("import sys, shutil; shutil.copy(*sys.argv[-2:])")
    notebook, log, output = (tmp_path / f"{name}.ipynb" for name in ("a b", "log", "output"))
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    assert execute.execute(notebook, tmp_path / "a.yaml", log, output) == 0
    assert nbformat.read(output, as_version=4).metadata["machine"] == machine()


def test_a_run_that_outlives_its_batch_is_waited_for(tmp_path: Path, papermill: Path) -> None:
    noted = tmp_path / "noted"
    papermill.write_text(
        "import time\n"
        f"def note(word):\n    with open({str(noted)!r}, 'a') as file: print(word, file=file)\n"
        "note('begin'); time.sleep(1); note('end'); raise SystemExit(1)\n"
    )
    names = [str(tmp_path / name) for name in ("a.ipynb", "a.yaml", "log.ipynb", "output.ipynb")]
    command = [sys.executable, "-m", "ialelib.runner.execute", *names]
    first = subprocess.Popen(command)
    while not noted.exists():
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert subprocess.run(command, check=False).returncode == 1
    assert noted.read_text().split() == ["begin", "end", "begin", "end"]


DRAW = """import os
import matplotlib.pyplot as plt
assert not os.environ.get("PYTHONOPTIMIZE") and "startup" not in globals()
print(plt.rcParams["text.usetex"], plt.rcParams["font.size"])
figure, ax = plt.subplots(figsize=(1, 1))"""


def sessions(home: Path) -> dict[str, str]:
    """The variables of a user with settings of all kinds, each of which breaks or changes a run."""
    files = {
        ".config/matplotlib/matplotlibrc": "text.usetex: True\nfont.size: 40\n",
        ".ipython/profile_default/startup/mine.py": "startup = 1\n",
        ".ipython/profile_default/ipython_kernel_config.py": "c.InteractiveShell.autocall = 2\n",
        "mine/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "mine"}',
        ".jupyter/jupyter_config.py": "c.KernelManager.transport = 'none'\n",
        "start.py": "startup = 1\n",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "IPYTHONDIR": str(home / ".ipython"),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_PATH": str(home / "mine"),
        "MATPLOTLIBRC": str(home / ".config/matplotlib"),
        "MPLBACKEND": "template",
        "PYTHONOPTIMIZE": "1",
        "PYTHONSTARTUP": str(home / "start.py"),
    }


def test_a_batch_has_the_settings_of_the_project_and_none_of_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in sessions(tmp_path / "home").items():
        monkeypatch.setenv(name, text)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(DRAW)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook, log, output = (tmp_path / f"{name}.ipynb" for name in ("drawn", "log", "output"))
    nbformat.write(book, notebook)
    (tmp_path / "drawn.yaml").write_text("{}")
    assert execute.execute(notebook, tmp_path / "drawn.yaml", log, output) == 0
    printed, shown = nbformat.read(output, as_version=4).cells[-1].outputs
    assert printed["text"] == "False 10.0\n"
    assert shown["data"]["image/png"]
