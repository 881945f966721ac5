"""Execute every notebook in place, in its quick profile, and note how long each takes.

    python benchmarks/run_times.py

This is how the committed outputs are made. It writes benchmarks/run_times.csv, which 00_index
shows, so the index comes last.
"""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "benchmarks" / "run_times.csv"


def processor() -> str:
    """Model name of the processor, and the number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def execute(notebook: Path) -> None:
    """Run a notebook from top to bottom and keep its outputs."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    options = ["--ExecutePreprocessor.record_timing=False", "--log-level=ERROR"]
    subprocess.run([*command, *options, str(notebook)], check=True)


def measure(notebook: Path) -> dict[str, object]:
    """Execute one notebook: wall clock, and processor time of all its processes, in seconds."""
    before, started = os.times(), time.perf_counter()
    execute(notebook)
    after, ended = os.times(), time.perf_counter()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return {
        "notebook": notebook.stem,
        "profile": "quick",
        "seconds": round(ended - started),
        "cpu_seconds": round(cpu),
        "machine": processor(),
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
