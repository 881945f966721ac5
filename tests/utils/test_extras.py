"""The core runs on what `pip install ialelib` brings; what needs more names the extra for it."""

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
FORMER = ("IPython", "jupyterlab", "papermill", "snakemake", "voila", "ipywidgets", "anywidget")
BLOCK = """
import json, sys
class Missing:
    def __init__(self, names):
        self.names = names
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ImportError(f"no {name} here")
sys.meta_path.insert(0, Missing(set(json.loads(sys.argv[1]))))
import numpy as np, torch, ialelib as iale
"""
CORE = """
rng = np.random.default_rng(0)
embeddings, labels = rng.standard_normal((200, 8)).astype("float32"), np.arange(200) % 2
embeddings[:, 0] += 4 * labels
given = {"embeddings": embeddings, "labelled": np.arange(10), "labels": labels[:10]}
print(len(iale.next_batch(**given, acq=3)))

net = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2))
print(len(iale.next_batch(net, embeddings, np.arange(10), labels[:10], acq=3)))

y = np.where(np.arange(200) < 10, labels, np.nan)
print(len(iale.inference.LearnedPolicy(random_state=0).query(embeddings, y, net, batch_size=3)))

found = iale.rehearse(embeddings[:60], np.arange(60), labels[:60], strategies=["margin"], seeds=2)
print(bool(str(found)))
iale.plots.rehearsed(found)
iale.LabelStore, iale.train_policy, iale.kernels.train
"""
NEEDS = {
    "iale.toy_demo": "demo",
    "iale.demo.figure": "demo",
    "iale.Labeller": "notebooks",
    "from ialelib.params import Extend": "notebooks",
    "iale.params.types": "notebooks",
    "iale.search.evolution.search_policy((), 0, iale.load_policy('generalist'), '')": "notebooks",
    "iale.runner.check": "batch",
    "iale.runner.gallery": "batch",
    "from ialelib.runner.execute import execute": "batch",
    "iale.inference.extract(np.zeros((1, 8, 8), 'uint8'))": "embeddings",
}


def core() -> set[str]:
    """What pip installs with the library alone: names of distributions."""
    waiting, found = [*map(Requirement, PROJECT["dependencies"])], {"ialelib"}
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name not in found and (not wanted.marker or wanted.marker.evaluate({"extra": ""})):
            found.add(name)
            waiting += map(Requirement, metadata.requires(name) or [])
    return found


def others() -> list[str]:
    """Modules that are installed here, and are none of the core's."""
    ours = core()
    named = metadata.packages_distributions().items()
    return [module for module, by in named if not ours & {canonicalize_name(name) for name in by}]


def run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCK + code, json.dumps(others())]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_core_is_without_jupyter_snakemake_and_voila() -> None:
    assert set(FORMER) <= set(others())


def test_the_core_runs_on_what_it_brings() -> None:
    done = run(CORE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "3", "3", "True"]


def test_what_needs_more_names_the_extra() -> None:
    done = run(f"""
for code in {[*NEEDS]}:
    try:
        exec(code)
    except iale.InputError as error:
        assert error.__suppress_context__
        print(error)
""")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for line, extra in zip(lines, NEEDS.values(), strict=True):
        assert re.fullmatch(rf"no \w+ here; .*pip install 'ialelib\[{extra}\]'", line)
