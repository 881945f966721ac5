"""Where a published number comes from: profile, parameters, versions, machine, commit."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ialelib.files import atomic
from ialelib.strict import Params, project
from ialelib.training import device
from ialelib.usage import processor

PACKAGES = ("ialelib", "torch", "numpy", "pandas", "scipy")
SOURCES = ("dataset", "seed", "commit")
PRIVATE = ("runs", "figures", "processes")
"""Parameters that change where and how fast a notebook runs, but not what it finds."""


def publish(
    table: pd.DataFrame,
    settings: Params,
    stem: str,
    timings: bool = False,
    of: pd.DataFrame | None = None,
) -> None:
    """Write a result table as STEM.csv into the figures' folder, with its provenance.

    Columns of seconds are left out unless `timings` are what the table is about (14_run_time):
    they differ from run to run, and all else does not. Added are, where the table has no such
    column, dataset and seed (all that went into it), profile, params (a digest), commit (`LOADED`),
    machine and versions. For a table that sums up another, `of`, the first two and the commit are
    all of that one's.
    """
    passing = [] if timings else [name for name in table if str(name).endswith("seconds")]
    lasting = table.drop(columns=passing)
    about_all = about(settings)
    if of is not None:
        about_all |= {name: _joined(of[name].unique()) for name in SOURCES if name in of}
    added = {name: text for name, text in about_all.items() if name not in table}
    with atomic(settings.figures_folder() / f"{stem}.csv") as temporary:
        lasting.assign(**added).to_csv(temporary, index=False)


def about(settings: Params) -> dict[str, str]:
    """What `publish` adds to a table."""
    values = {k: v for k, v in settings.model_dump(mode="json").items() if k not in PRIVATE}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
    parts = Path(settings.figures).parts
    return {
        **{name: text for name in ("dataset", "seed") if (text := _listed(values, name))},
        "profile": parts[1] if parts[0] == "figures" and len(parts) > 1 else "own",
        "params": digest,
        "commit": LOADED,
        "machine": machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _listed(values: Mapping[str, Any], name: str) -> str:
    """The data sets or seeds among a notebook's parameters: one, or all of a list."""
    found = values.get(name, values.get(f"{name}s", []))
    return _joined(found) if isinstance(found, list) else str(found)


def _joined(values: Iterable[Any]) -> str:
    return "; ".join(map(str, values))


def commit() -> str:
    """Ten digits of the checkout's commit, "+" for changed files; "unknown" outside of git."""
    said = _git("rev-parse", "--short=10", "HEAD")
    if not said:
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "ialelib", "notebooks")
    return said + "+" * bool(changed)


def _git(*arguments: str) -> str:
    command: list[Any] = ["git", "-C", project(), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> str:
    """The GPU in use, or the processor's model name and number of cores."""
    if device() == "cuda":
        return str(torch.cuda.get_device_name())
    return processor()


LOADED = commit()
"""The commit of the code that this process runs, whatever is committed later."""
