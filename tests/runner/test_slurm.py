"""The Slurm profile: what it would submit; and, where Slurm is installed, a real submission."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from test_batch import STEMS, make, noted, small

PROJECT = Path(__file__).parents[2]
ONE_NODE = PROJECT / "tests" / "slurm_one_node.sh"
__all__ = ["small"]

plugin = pytest.mark.skipif(
    find_spec("snakemake_executor_plugin_slurm") is None, reason="needs the extra `slurm`"
)
cluster = pytest.mark.skipif(
    os.getuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))),
    reason="needs root and Debian's packages slurmctld, slurmd, slurm-client and munge",
)


def test_the_profile_takes_snakemakes_own_executor() -> None:
    profile = yaml.safe_load((PROJECT / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["executor"] == "slurm"


@plugin
def test_each_notebook_asks_for_its_processes(small: Path) -> None:
    parameters = small / "params" / "small" / "01_toy_gaussians.yaml"
    parameters.write_text(parameters.read_text().replace("processes: 1", "processes: 16"))
    done = make(small, "figures", "WHERE=--profile profiles/slurm --dry-run --cores 64")
    assert done.returncode == 0, done.stderr
    text = done.stdout + done.stderr
    (first, second) = (job(text, name) for name in ("01_toy_gaussians", "02_policy_training"))
    assert "threads: 16" in first
    assert "mem_mb=18000" in first
    assert "threads:" not in second
    assert "mem_mb=3000" in second
    assert not (small / "ran.txt").exists()


def job(text: str, stem: str) -> str:
    """What a dry run says about one job."""
    return next(part for part in text.split("rule ") if part.startswith(f"{stem}:"))


@plugin
@cluster
def test_a_batch_runs_on_a_real_cluster_of_one_node(small: Path) -> None:
    cluster = small / "cluster"
    subprocess.run([ONE_NODE, "start", cluster], check=True, timeout=120)
    try:
        where = "WHERE=--profile profiles/slurm --slurm-status-command squeue"
        where += " --slurm-init-seconds-before-status-checks 5"
        path = f"PATH={Path(sys.executable).parent}:{os.environ['PATH']}"
        done = make(small, "reproduce", where, path)
        assert done.returncode == 0, done.stderr
        names = noted(small)
        assert len(names) == 7
        assert names[-1] == "gallery"
        command = ["squeue", "--states=completed", "--noheader", "--format=%C"]
        jobs = subprocess.run(command, capture_output=True, text=True, check=True)
        assert jobs.stdout.split() == ["1"] * len(STEMS)
    finally:
        subprocess.run([ONE_NODE, "stop", cluster], check=True)
