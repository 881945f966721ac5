"""One notebook of a batch, run by papermill.

`python -m ialelib.execute NOTEBOOK PARAMS LOG OUTPUT` leaves the executed notebook at OUTPUT, whole
or not at all. LOG follows the run cell by cell, and keeps the error of one that fails.
"""

import sys
import time
from pathlib import Path

import nbformat
import yaml

from ialelib import static, usage
from ialelib.alone import alone
from ialelib.files import atomic


def execute(notebook: Path, parameters: Path, log: Path, output: Path) -> int:
    """Run a notebook in its own folder with the parameters in a YAML file; papermill's exit code.

    The output has no widgets, and its metadata get the fields `usage` (machine, cpu_seconds and
    peak_mb) and `figures` (the files that it wrote into its figures' folder). A run of the same
    notebook that outlived its batch is waited for, so that never two of them write to one place.
    """
    command = [sys.executable, "-m", "papermill", "--log-output", "--no-progress-bar"]
    command += ["--cwd", str(notebook.parent), "-f", str(parameters), str(notebook), str(log)]
    with alone(log.with_suffix(".lock"), wait=True) as descriptor:
        started = time.time()
        used = usage.run(command, pass_fds=[descriptor])
        if used.returncode == 0:
            _publish(log, output, used, _figures(notebook, parameters, started))
    return used.returncode


def _figures(notebook: Path, parameters: Path, since: float) -> list[str]:
    """Files of the notebook in the folder that its parameters name, from that time on."""
    folder = Path(yaml.safe_load(parameters.read_text())["figures"])
    files = folder.glob(f"{notebook.stem}_*")
    # Some file systems round times to seconds.
    return sorted(str(path) for path in files if path.stat().st_mtime > since - 2)


def _publish(log: Path, output: Path, used: usage.Usage, figures: list[str]) -> None:
    executed = nbformat.read(log, as_version=4)
    static.strip(executed)
    executed.metadata["figures"] = figures
    executed.metadata["usage"] = {
        "machine": usage.processor(),
        "cpu_seconds": round(used.cpu_seconds),
        "peak_mb": round(used.peak_mb),
    }
    with atomic(output) as temporary:
        nbformat.write(executed, temporary)


if __name__ == "__main__":
    notebook, parameters, log, output = map(Path, sys.argv[1:])
    sys.exit(execute(notebook, parameters, log, output))
