"""`kill -9` of a whole batch, again and again: the same command ends with the same result."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from toys import ROUNDS

PROJECT = Path(__file__).parents[2]
PARAMETERS = {
    "runs": "runs/tiny",
    "figures": "figures/tiny",
    "overlap": 0.2,
    "samples": 2000,
    "initial": 20,
    "acq": 10,
    "acquisitions": 3,
    "n": 100,
    "episodes": 2,
    "seeds": [0, 1, 2, 3, 4, 5],
    "processes": 2,
    "save_policy": None,
}
COPIED = ("Makefile", "Snakefile", "figures.yaml", "pyproject.toml", "requirements.lock")
FOLDERS = ("ialelib", "profiles", "notebooks", "policies")
EPISODES, CYCLES = 2, 4 * 6  # units of work: two episodes, and four strategies with six seeds


def checkout(folder: Path) -> Path:
    """A copy of the project with a profile that has only Figure 1, and little of it."""
    folder.mkdir()
    for name in COPIED:
        shutil.copy(PROJECT / name, folder)
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name)
    (folder / "params" / "tiny").mkdir(parents=True)
    parameters = folder / "params" / "tiny" / "01_toy_gaussians.yaml"
    parameters.write_text(yaml.safe_dump(PARAMETERS))
    (folder / ".venv").mkdir()
    (folder / ".venv" / "ready").touch()
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    """`make fig01`, leader of a process group of its own."""
    environment = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    environment["PYTHONPATH"] = str(folder)
    binaries = Path(sys.executable).parent
    with (folder / "log.txt").open("a") as log:
        return subprocess.Popen(
            ["make", "fig01", "PROFILE=tiny", f"BIN={binaries}", "CORES=2"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def finish(folder: Path) -> None:
    assert start(folder).wait(timeout=600) == 0, (folder / "log.txt").read_text()


def units(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Finished units of work, episodes and cycles: when and what was written."""
    runs = folder / "runs" / "tiny" / "01_toy_gaussians"
    paths = [*runs.glob("policy-*/episode-*.safetensors"), *runs.glob("cycles/*.csv")]
    whole = [path for path in paths if not path.name.startswith(".")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole}


def kill_after(folder: Path, wanted: int, delay: float) -> dict[Path, tuple[int, bytes]]:
    """Start the batch and kill all of it some time after so many units; those done by then."""
    process = start(folder)
    until = time.monotonic() + 300
    while len(units(folder)) < wanted:
        assert process.poll() is None, (folder / "log.txt").read_text()
        assert time.monotonic() < until, "the batch makes no progress"
        time.sleep(0.02)
    time.sleep(delay)
    done = units(folder)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return done


def table(folder: Path) -> pd.DataFrame:
    """The figure's table, every number as it is written, without what a clock says."""
    path = folder / "figures" / "tiny" / "01_toy_gaussians_curves.csv"
    found = pd.read_csv(path, dtype=str, keep_default_na=False)
    return found[[name for name in found if not str(name).endswith("seconds")]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the batch has come to its end."""
    folder = checkout(tmp_path_factory.mktemp("batch") / "undisturbed")
    finish(folder)
    return folder


@pytest.mark.parametrize("seed", range(1, 1 + ROUNDS))
def test_a_killed_batch_is_finished_by_the_same_command(
    seed: int, undisturbed: Path, tmp_path: Path
) -> None:
    killed, rng = checkout(tmp_path / "killed"), random.Random(seed)
    moments = [0, rng.randint(1, EPISODES), rng.randint(EPISODES + 1, EPISODES + CYCLES // 2)]
    done: dict[Path, tuple[int, bytes]] = {}
    for wanted in moments:
        now = kill_after(killed, wanted, delay=rng.uniform(0, 0.3) if wanted else rng.uniform(2, 6))
        assert len(now) < EPISODES + CYCLES, "killed too late to tell"
        done = now | done
    finish(killed)

    pd.testing.assert_frame_equal(table(killed), table(undisturbed))
    figures = sorted((undisturbed / "figures" / "tiny").glob("*.svg"))
    assert [path.name for path in figures] == [
        "01_toy_gaussians_data.svg",
        "01_toy_gaussians_strategies.svg",
    ]
    for path in figures:
        assert (killed / "figures" / "tiny" / path.name).read_bytes() == path.read_bytes()
    after = units(killed)
    assert {path.name for path in after} == {path.name for path in units(undisturbed)}
    assert len(after) == EPISODES + CYCLES
    # What was finished was read back, not computed again; a kill costs only what was at work.
    assert {path: after[path] for path in done} == done
    assert len(done) >= moments[-1]
    assert (killed / "runs" / "tiny" / "01_toy_gaussians.ipynb").is_file()
