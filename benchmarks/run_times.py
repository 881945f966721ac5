"""Execute every notebook in place, in its quick profile, and table what a batch measured of each.

    make figures && python benchmarks/run_times.py

This is how the committed outputs are made. Time and memory are those of the batch, as Snakemake
wrote them to runs/quick/benchmarks; the table, benchmarks/run_times.csv, is what 00_index shows, so
the index comes last.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd

from ialelib.runner import strip_widgets
from ialelib.utils.machine import machine

ROOT = Path(__file__).parent.parent


def table(benchmarks: Path) -> pd.DataFrame:
    """What each notebook of a quick batch took, with all its processes."""
    paths = sorted(benchmarks.glob("*.tsv"))
    if not paths:
        sys.exit(f"nothing was measured in {benchmarks}; run `make figures` first")
    measured = pd.concat([pd.read_csv(path, sep="\t") for path in paths], ignore_index=True)
    return pd.DataFrame(
        {
            "notebook": [path.stem for path in paths],
            "profile": "quick",
            "seconds": measured["s"].round().astype(int),
            "cpu_seconds": measured["cpu_time"].round().astype(int),
            "peak_mb": measured["max_rss"].round().astype(int),
            "machine": machine(),
        }
    )


def execute(notebook: Path) -> None:
    """Run a notebook from top to bottom and keep its outputs, without widgets."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    options = ["--ExecutePreprocessor.record_timing=False", "--log-level=ERROR"]
    if subprocess.run([*command, *options, str(notebook)], check=False).returncode:
        sys.exit(f"{notebook.name} failed")
    strip_widgets.main([str(notebook)])


def keep_picture(notebook: Path) -> None:
    """Keep the quick run's picture for the opening of a notebook that has no published one yet."""
    opening = nbformat.read(notebook, as_version=4).cells[0].source
    for name in re.findall(r"\.\./figures/opening/([^)]+)\)", opening):
        shutil.copy(ROOT / "figures/quick" / name, ROOT / "figures/opening" / name)


def main() -> None:
    """Write the table and execute all notebooks, the index last."""
    times = table(ROOT / "runs" / "quick" / "benchmarks")
    times.to_csv(ROOT / "benchmarks" / "run_times.csv", index=False)
    index, *notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    for notebook in notebooks:
        execute(notebook)
        keep_picture(notebook)
    execute(index)
    print(times.to_string(index=False))


if __name__ == "__main__":
    main()
