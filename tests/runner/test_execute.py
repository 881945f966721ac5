"""What a command is said to use: all its processes, and no more than there are."""

import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from ialelib.runner import execute
from ialelib.utils import machine

HOLD = "import time; block = bytearray({0} * 10**6); time.sleep(1.5)"
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', '{HOLD.format(150)}'])"


def test_memory_of_children_counts() -> None:
    used = machine.run([sys.executable, "-c", NESTED])
    assert used.returncode == 0
    assert 150 < used.peak_mb < 300
    assert 1.5 < used.seconds < 60
    assert used.cpu_seconds < used.seconds


def test_processor_time_is_that_of_the_command() -> None:
    busy = "import time\nwhile time.process_time() < 1: pass"
    used = machine.run([sys.executable, "-c", busy])
    assert 0.9 < used.cpu_seconds < 3


def test_a_failure_is_reported() -> None:
    assert machine.run([sys.executable, "-c", "raise SystemExit(3)"]).returncode == 3


def test_a_process_that_is_gone_holds_nothing() -> None:
    assert machine.memory(2**22 + 1) == 0


def test_the_machine_is_named_with_its_cores() -> None:
    assert machine.processor().endswith(f", {os.cpu_count()} cores")


def test_a_failed_notebook_leaves_no_result_but_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[-1]).write_text('log'); sys.exit(1)"
    (tmp_path / "papermill.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    log, output = tmp_path / "log.ipynb", tmp_path / "output.ipynb"
    assert execute.execute(tmp_path / "a.ipynb", tmp_path / "a.yaml", log, output) == 1
    assert log.read_text() == "log"
    assert not output.exists()


def test_a_run_that_outlives_its_batch_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "noted"
    script = (
        "import time\n"
        f"def note(word):\n    with open({str(noted)!r}, 'a') as file: print(word, file=file)\n"
        "note('begin'); time.sleep(1); note('end'); raise SystemExit(1)\n"
    )
    (tmp_path / "papermill.py").write_text(script)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    names = [str(tmp_path / name) for name in ("a.ipynb", "a.yaml", "log.ipynb", "output.ipynb")]
    command = [sys.executable, "-m", "ialelib.runner.execute", *names]
    first = subprocess.Popen(command)
    while not noted.exists():
        time.sleep(0.01)
    first.kill()
    first.wait()
    assert subprocess.run(command, check=False).returncode == 1
    assert noted.read_text().split() == ["begin", "end", "begin", "end"]


def test_an_executed_notebook_names_the_figures_that_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import sys, shutil, pathlib\n"
        "pathlib.Path('a_curves.csv').touch(); pathlib.Path('ab_curves.csv').touch()\n"
        "shutil.copy(*sys.argv[-2:])\n"
    )
    (tmp_path / "papermill.py").write_text(script)
    (tmp_path / "a.yaml").write_text("figures: .")
    (tmp_path / "a_of_old.svg").touch()
    os.utime(tmp_path / "a_of_old.svg", (1e9, 1e9))
    notebook, log, output = (tmp_path / f"{name}.ipynb" for name in ("a", "log", "output"))
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.chdir(tmp_path)
    assert execute.execute(notebook, tmp_path / "a.yaml", log, output) == 0
    assert nbformat.read(output, as_version=4).metadata["figures"] == ["a_curves.csv"]
