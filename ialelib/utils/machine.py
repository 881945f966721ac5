"""Device and processor, and the commit of this package's code."""

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import torch

from ialelib.utils.errors import InputError

CHECKOUT = Path(__file__).parents[2]
FILES = ("ialelib", "notebooks/00_index.ipynb")
"""What this package's repository has, and one that encloses a copy of it has not."""


def device() -> str:
    """Where classifiers are trained: what `IALE_DEVICE` names, "cpu" (the default) or "cuda".

    Raises:
        InputError: another name, or "cuda" where torch finds no GPU.
    """
    name = os.environ.get("IALE_DEVICE") or "cpu"
    if name not in ("cpu", "cuda"):
        raise InputError(f"IALE_DEVICE must be cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("IALE_DEVICE is cuda, but torch finds no GPU; unset it, or set it to cpu")
    return name


def machine() -> str:
    """The GPU in use, or the processor's model name and number of cores."""
    if device() == "cuda":
        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


@cache
def commit() -> str:
    """Ten digits of the commit that this package is of, "+" for changed files; else "unknown".

    Asked for once in a process, when a run begins, so that it is the code that was loaded. Nothing
    else asks git.
    """
    ours = _git("ls-files", "--error-unmatch", *FILES)
    if not (ours and (said := _git("rev-parse", "--short=10", "HEAD"))):
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "ialelib", "notebooks")
    return said + "+" * bool(changed)


def _git(*arguments: str) -> str:
    """What git says of this package's own checkout, whatever repository encloses it."""
    if not (CHECKOUT / ".git").exists():
        return ""
    own = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    # It only reads: no hook and no monitor is run, and no lock is in the way of another git. A
    # checkout may be another user's, as its code runs here already.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "safe.directory=*"]
    command += ["-C", str(CHECKOUT), *arguments]
    try:
        done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
