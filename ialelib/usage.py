"""What a command uses: wall clock, processor time and memory of it and all its children."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL = 0.5  # seconds between two looks at the memory


@dataclass(frozen=True)
class Usage:
    """What a finished command used; seconds, and megabytes of 10^6 bytes."""

    returncode: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(command: Sequence[str], pass_fds: Sequence[int] = ()) -> Usage:
    """Run a command to its end and measure it.

    `peak_mb` is the largest sum over its processes that was seen, looking twice a second. Memory
    that processes share is counted once on Linux (PSS), and in each of them elsewhere (RSS).
    """
    before, started = os.times(), time.perf_counter()
    peak = 0
    with subprocess.Popen(command, pass_fds=pass_fds) as process:
        while True:
            peak = max(peak, memory(process.pid))
            try:
                returncode = process.wait(INTERVAL)
                break
            except subprocess.TimeoutExpired:
                pass
    after, ended = os.times(), time.perf_counter()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Usage(returncode, ended - started, cpu, peak / 1e6)


def memory(pid: int) -> int:
    """Bytes that a process and all its children hold now."""
    try:
        parent = psutil.Process(pid)
        return sum(_held(process) for process in (parent, *parent.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _held(process: psutil.Process) -> int:
    try:
        if sys.platform.startswith("linux"):
            return process.memory_full_info().pss
        return process.memory_info().rss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def processor() -> str:
    """Model name of the processor, and the number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"
