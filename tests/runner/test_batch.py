"""What a batch runs, and runs again: the real Snakefile, and notebooks that note their name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ialelib.runner import dependencies
from ialelib.runner.lock import hold
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
FIGURES = yaml.safe_load((PROJECT / "figures.yaml").read_text())
EXECUTE = """
import json
import sys
from pathlib import Path

notebook, params, log, output = map(Path, sys.argv[1:])
figure = Path("figures") / f"{output.stem}.svg"
log.write_text(f"the run of {output.stem}")
with open("ran.txt", "a") as file:
    print(output.stem, file=file)
if "broken" in params.read_text():
    sys.exit("broken")
figure.parent.mkdir(exist_ok=True)
figure.write_text("figure")
output.write_text(json.dumps({"metadata": {"figures": [str(figure)]}}))
"""
GALLERY = """
from pathlib import Path

page = Path("runs/small/gallery/index.html")
page.write_text("page")
with open("ran.txt", "a") as file:
    print("gallery", file=file)
"""
STEMS: dict[str, dict[str, Any]] = {
    "01_toy_gaussians": {"processes": 1},
    "02_policy_training": {"save_policy": "digits"},
    "02_policy_training-warm": {"save_policy": "warm", "figures": "figures/small/warm"},
    "03_transfer_datasets": {"policy": "digits"},
    "08_ablation_experts": {"policies": ["warm", "shipped"]},
    "12_statistics": {"curves": ["figures/small/03_transfer_datasets_curves.csv"]},
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with a profile of six runs, each of which takes no time."""
    for name in ("Snakefile", "figures.yaml", "Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "profiles", tmp_path / "profiles")
    library = tmp_path / "ialelib"
    library.mkdir()
    for name in ("__init__", "errors", "figure_table", "alone", "makers"):
        shutil.copy(PROJECT / "ialelib" / f"{name}.py", library)
    (library / "execute.py").write_text(EXECUTE)
    (library / "gallery.py").write_text(GALLERY)
    (library / "batch.py").write_text("")
    for stem, values in STEMS.items():
        write(tmp_path / "params" / "small" / f"{stem}.yaml", yaml.safe_dump(parameters(values)))
        write(tmp_path / "notebooks" / f"{stem.split('-')[0]}.ipynb", "notebook")
    write(tmp_path / "policies" / "shipped.safetensors", "a policy")
    write(tmp_path / ".venv" / "ready", "")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def parameters(values: dict[str, Any]) -> dict[str, Any]:
    return {"runs": "runs/small", "figures": "figures/small", **values}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    binaries = Path(sys.executable).parent
    # Under `make test` the outer make's flags and overrides would be inherited.
    environment = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    environment["PYTHONPATH"] = str(folder)
    command = ["make", f"BIN={binaries}", "CORES=2", "PROFILE=small", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def ran(folder: Path, *arguments: str, good: bool = True) -> list[str]:
    """Names of the runs that `make` started, in order."""
    (folder / "ran.txt").write_text("")
    done = make(folder, *arguments)
    assert (done.returncode == 0) is good, done.stderr
    return (folder / "ran.txt").read_text().split()


def test_a_batch_runs_makers_before_readers_and_then_nothing(small: Path) -> None:
    names = ran(small, "reproduce")
    assert sorted(names) == [*STEMS, "gallery"]
    order = {name: number for number, name in enumerate(names)}
    assert order["02_policy_training"] < order["03_transfer_datasets"] < order["12_statistics"]
    assert order["02_policy_training-warm"] < order["08_ablation_experts"]
    assert ran(small, "reproduce") == []
    assert ran(small, "figures") == []


def test_a_change_repeats_what_depends_on_it_and_nothing_else(small: Path) -> None:
    ran(small, "reproduce")
    params = small / "params" / "small"
    (params / "01_toy_gaussians.yaml").touch()
    assert ran(small, "reproduce") == []
    changed = parameters(STEMS["02_policy_training"] | {"episodes": 3})
    write(params / "02_policy_training.yaml", yaml.safe_dump(changed))
    chain = ["02_policy_training", "03_transfer_datasets", "12_statistics"]
    assert ran(small, "reproduce") == [*chain, "gallery"]
    write(small / "policies" / "shipped.safetensors", "another policy")
    assert ran(small, "reproduce") == ["08_ablation_experts", "gallery"]


def test_a_change_of_the_library_repeats_all_but_one_of_the_gallery_only_that(small: Path) -> None:
    ran(small, "reproduce")
    write(small / "ialelib" / "gallery.py", GALLERY + "# changed\n")
    assert ran(small, "reproduce") == ["gallery"]
    write(small / "ialelib" / "errors.py", (small / "ialelib" / "errors.py").read_text() + "\n")
    assert sorted(ran(small, "reproduce")) == [*STEMS, "gallery"]
    with (small / "Snakefile").open("a") as file:
        file.write("\n# a comment\n")
    assert ran(small, "reproduce") == []


def test_a_failure_stops_only_what_needs_it_and_stays_readable(small: Path) -> None:
    path = small / "params" / "small" / "02_policy_training-warm.yaml"
    good = path.read_text()
    path.write_text(good + "note: broken\n")
    names = ran(small, "reproduce", good=False)
    assert sorted(names) == sorted(set(STEMS) - {"08_ablation_experts"})
    log = small / "runs" / "small" / "logs" / "02_policy_training-warm.ipynb"
    assert log.read_text() == "the run of 02_policy_training-warm"
    path.write_text(good)
    rest = ["02_policy_training-warm", "08_ablation_experts", "gallery"]
    assert ran(small, "reproduce") == rest


def test_one_figure_runs_only_what_it_comes_from(small: Path) -> None:
    assert ran(small, "fig03b") == ["02_policy_training", "03_transfer_datasets"]
    assert ran(small, "fig03a") == []
    # This profile has no run of its own for Kuzushiji-MNIST.
    assert ran(small, "fig03c") == []


def test_a_figure_that_was_deleted_is_drawn_again(small: Path) -> None:
    ran(small, "figures")
    (small / "figures/08_ablation_experts.svg").unlink()
    assert ran(small, "figures") == ["08_ablation_experts"]
    assert (small / "figures/08_ablation_experts.svg").exists()


def test_a_figure_that_does_not_exist_is_refused_with_the_nearest(small: Path) -> None:
    done = make(small, "fig3a")
    assert done.returncode != 0
    assert (
        "unknown figure 'fig3a'; did you mean 'fig03a'? Accepted: a21, cost, fig01" in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_figure_that_this_profile_lacks_is_refused(small: Path) -> None:
    done = make(small, "fig06b")
    assert done.returncode != 0
    assert "fig06b comes from 06_larger_images-svhn or 06_larger_images.yaml, which" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_batches_in_one_folder_are_refused(small: Path) -> None:
    with hold(small / "runs" / ".lock"):
        done = make(small, "figures")
    assert done.returncode != 0
    assert f"another batch is at work in this folder (process {os.getpid()})" in done.stderr
    assert not (small / "ran.txt").exists()
    assert sorted(ran(small, "figures")) == list(STEMS)


def test_an_unknown_profile_is_refused_with_the_known_ones(small: Path) -> None:
    done = make(small, "figures", "PROFILE=smal")
    assert done.returncode != 0
    assert "no params files in params/smal; profiles are small" in done.stderr


def test_the_first_params_file_of_a_figure_that_is_there_counts() -> None:
    table = {"fig03c": ["03-kmnist", "03"]}
    assert dependencies.stem("fig03c", table, ["03", "03-kmnist"]) == "03-kmnist"
    assert dependencies.stem("fig03c", table, ["03"]) == "03"
    assert dependencies.stem("fig12i", {"fig12": ["05"]}, ["05"]) == "05"
    with pytest.raises(InputError, match="unknown figure 'fig03b'"):
        dependencies.stem("fig03b", table, ["03"])
    with pytest.raises(InputError, match="03-kmnist or 03"):
        dependencies.stem("fig03c", table, ["01"])


def test_what_a_figure_was_drawn_from_is_said() -> None:
    values = {"datasets": ["mnist", "fmnist"], "classifier": "cnn", "budget": 60, "seeds": [0, 1]}
    assert dependencies.settings(values) == "mnist, fmnist; cnn; 60 labels; 2 seeds"
    assert dependencies.settings({"dataset": "mnist", "seeds": [0]}) == "mnist; 1 seeds"
    assert dependencies.settings({"overlap": 0.2}) == ""


def test_a_batch_ends_with_what_its_figures_were_drawn_from(small: Path) -> None:
    assert "params/small/01_toy_gaussians.yaml: " in make(small, "fig01").stdout


def test_a_figure_takes_its_params_file_and_all_that_makes_what_it_needs() -> None:
    profile = {stem: parameters(values) for stem, values in STEMS.items()}
    found = ["02_policy_training", "03_transfer_datasets", "12_statistics"]
    assert dependencies.needed("12_statistics", profile) == found
    assert dependencies.needed("08_ablation_experts", profile) == [
        "02_policy_training-warm",
        "08_ablation_experts",
    ]


@pytest.mark.parametrize("profile", ["quick", "cpu", "paper"])
def test_a_profile_draws_the_figures_of_its_notebooks(profile: str) -> None:
    stems = [path.stem for path in (PROJECT / "params" / profile).glob("*.yaml")]
    drawable = {name for name, source in FIGURES.items() if set(source) & set(stems)}
    assert {"fig01", "fig03a", "fig03b", "fig03c", "fig04a", "fig04b"} <= drawable
    assert {dependencies.stem(name, FIGURES, stems) for name in drawable} <= set(stems)
