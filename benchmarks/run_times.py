"""Execute every notebook in place, in its quick profile, and note what each takes: time and memory.

    python benchmarks/run_times.py

This is how the committed outputs are made. It writes benchmarks/run_times.csv, which 00_index
shows, so the index comes last.
"""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import pandas as pd

from ialelib.runner import strip_widgets
from ialelib.utils import machine

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "benchmarks" / "run_times.csv"


def execute(notebook: Path) -> machine.Usage:
    """Run a notebook from top to bottom and keep its outputs, without widgets."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    options = ["--ExecutePreprocessor.record_timing=False", "--log-level=ERROR"]
    used = machine.run([*command, *options, str(notebook)])
    if used.returncode:
        sys.exit(f"{notebook.name} failed")
    strip_widgets.main([str(notebook)])
    return used


def keep_picture(notebook: Path) -> None:
    """Keep the quick run's picture for the opening of a notebook that has no published one yet."""
    opening = nbformat.read(notebook, as_version=4).cells[0].source
    for name in re.findall(r"\.\./figures/opening/([^)]+)\)", opening):
        shutil.copy(ROOT / "figures/quick" / name, ROOT / "figures/opening" / name)


def measure(notebook: Path) -> dict[str, object]:
    """Execute one notebook: wall clock, processor time and memory of all its processes."""
    used = execute(notebook)
    keep_picture(notebook)
    return {
        "notebook": notebook.stem,
        "profile": "quick",
        "seconds": round(used.seconds),
        "cpu_seconds": round(used.cpu_seconds),
        "peak_mb": round(used.peak_mb),
        "machine": machine.processor(),
    }


def main() -> None:
    """Execute and measure all notebooks, the index last."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    table = pd.DataFrame([measure(notebook) for notebook in notebooks[1:]])
    table.to_csv(TABLE, index=False)
    execute(notebooks[0])
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
