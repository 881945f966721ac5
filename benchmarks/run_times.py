"""Run time of every notebook in its quick profile, each in a process of its own.

    python benchmarks/run_times.py

writes benchmarks/run_times.csv, which 00_index shows.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent


def processor() -> str:
    """Model name of the processor, and the number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def measure(notebook: Path) -> dict[str, object]:
    """Execute one notebook with papermill: seconds of wall clock and of all its processes."""
    before = os.times()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / notebook.name
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(notebook), str(out)]
        subprocess.run([*command, "--cwd", str(notebook.parent)], check=True, capture_output=True)
    after = os.times()
    return {
        "notebook": notebook.stem,
        "seconds": round(time.perf_counter() - started),
        "cpu_seconds": round(after.children_user - before.children_user),
        "machine": processor(),
    }


def main() -> None:
    """Measure all notebooks but the index."""
    notebooks = sorted((ROOT / "notebooks").glob("0[1-9]*.ipynb"))
    table = pd.DataFrame([measure(notebook) for notebook in notebooks])
    table.to_csv(ROOT / "benchmarks" / "run_times.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
