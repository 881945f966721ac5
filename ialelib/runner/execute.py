"""One notebook of a batch, run by papermill.

`python -m ialelib.runner.execute NOTEBOOK PARAMS LOG OUTPUT` leaves the executed notebook at
OUTPUT, whole or not at all. LOG follows the run cell by cell, and keeps the error of one that
fails. The notebook sees the project's settings of Python, IPython, Jupyter and Matplotlib, not the
user's.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ialelib.runner import executed
from ialelib.runner.lock import hold
from ialelib.runner.strip_widgets import strip
from ialelib.utils.extras import extra

with extra("batch"):
    import nbformat

USERS = (
    *("IPYTHON", "JUPYTER", "MATPLOTLIBRC", "MPLBACKEND", "PAPERMILL", "PLOTLY", "TQDM"),
    *("PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONSTARTUP", "PYTHONWARNINGS"),
)
"""Starts of variables by which users set up their own sessions."""


def environment(given: Mapping[str, str], folder: str) -> dict[str, str]:
    """The variables of a batch's notebook: those `given`, but for what would change its outputs.

    In place of the user's files of settings it has those of `folder`, which is empty.
    """
    kept = {name: text for name, text in given.items() if not name.startswith(USERS)}
    own = dict.fromkeys(["IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"], folder)
    return {**kept, **own, "JUPYTER_PREFER_ENV_PATH": "1", "MATPLOTLIBRC": os.devnull}


def execute(notebook: Path, parameters: Path, log: Path, output: Path) -> int:
    """Run a notebook in its own folder with the parameters in a YAML file; papermill's exit code.

    The output has no widgets, and names the machine. A run of the same notebook that outlived its
    batch is waited for, so that never two of them write to one place.
    """
    command = [sys.executable, "-m", "papermill", "--log-output", "--no-progress-bar"]
    command += ["--cwd", str(notebook.parent), "-f", str(parameters), str(notebook), str(log)]
    with (
        hold(log.with_suffix(".lock"), wait=True) as descriptor,
        tempfile.TemporaryDirectory(prefix="ialelib-") as folder,
    ):
        own = environment(os.environ, folder)
        done = subprocess.run(command, pass_fds=[descriptor], env=own, check=False)
        if done.returncode == 0:
            # Not before: it loads torch, whose memory would count for the notebook's.
            from ialelib.utils.machine import machine

            result = nbformat.read(log, as_version=4)
            strip(result)
            result.metadata["machine"] = machine()
            executed.save(result, output)
    return done.returncode


if __name__ == "__main__":
    sys.exit(execute(*map(Path, sys.argv[1:])))
