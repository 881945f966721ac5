"""What a batch runs, and runs again: the real Snakefile, and notebooks that note their name."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ialelib.params.base import Params
from ialelib.runner import check
from ialelib.runner.lock import hold
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
FIGURES = check.figures()
COPIED = ("Snakefile", "figures.yaml", "Makefile", "pyproject.toml", "requirements.lock")
EXECUTE = """
import json
import sys
import time
from pathlib import Path

from nbformat.v4 import new_notebook

from ialelib.runner import executed

notebook, params, log, output = map(Path, sys.argv[1:])
log.write_text(f"the run of {output.stem}")
with open("ran.txt", "a") as file:
    print(output.stem, file=file)
first, *rest = json.loads(Path("outputs.json").read_text())[output.stem]
Path(first).write_text(f"half of {output.stem}")
if output.stem in Path("broken.txt").read_text().split():
    sys.exit("broken")
time.sleep(60 * (output.stem in Path("slow.txt").read_text().split()))
for name in [first, *rest]:
    Path(name).write_text(f"the output of {output.stem}")
executed.save(new_notebook(), output)
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
    "03_transfer_datasets": {"policy": "digits", "alil": None},
    "08_ablation_experts": {"policies": ["warm", "shipped"]},
    "12_statistics": {
        "curves": ["figures/small/03_transfer_datasets_curves.csv"],
        "policy": "shipped",
    },
}


def copy_library(folder: Path) -> Path:
    """The library in a checkout of its own; the shipped data are not copied, but linked to."""
    library = folder / "ialelib"
    shutil.copytree(
        PROJECT / "ialelib", library, ignore=shutil.ignore_patterns("__pycache__", "samples")
    )
    (library / "samples").symlink_to(PROJECT / "ialelib" / "samples")
    return library


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with a profile of six runs, each of which takes no time; spaces in its name."""
    folder = tmp_path / "a check out"
    folder.mkdir()
    for name in COPIED:
        shutil.copy(PROJECT / name, folder)
    shutil.copytree(PROJECT / "profiles", folder / "profiles")
    library = copy_library(folder)
    (library / "runner" / "execute.py").write_text(EXECUTE)
    (library / "runner" / "gallery.py").write_text(GALLERY)
    for stem, values in STEMS.items():
        write(
            folder / "params" / "small" / f"{stem}.yaml", yaml.safe_dump(parameters(stem, values))
        )
        write(folder / "notebooks" / f"{stem.split('-')[0]}.ipynb", "notebook")
    write(folder / "notebooks" / "00_index.ipynb", "index")
    outputs = {stem: params.outputs() for stem, params in profile(folder).items()}
    write(folder / "outputs.json", json.dumps(outputs))
    for name in ("broken.txt", "slow.txt", ".venv/ready"):
        write(folder / name, "")
    (folder / "policies").mkdir()
    shutil.copy(PROJECT / "policies/mnist-cnn.safetensors", folder / "policies/shipped.safetensors")
    return folder


def profile(folder: Path) -> dict[str, Params]:
    return check.batch(folder / "params" / "small")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def parameters(stem: str, values: dict[str, Any]) -> dict[str, Any]:
    """Those of the quick profile, with changes."""
    quick = yaml.safe_load((PROJECT / f"params/quick/{stem.split('-')[0]}.yaml").read_text())
    return quick | {"runs": "runs/small", "figures": "figures/small", **values}


def environment(folder: Path) -> dict[str, str]:
    # Under `make test` the outer make's flags and overrides would be inherited.
    found = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return found | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PATH": binaries}


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """`make`, leader of a process group of its own."""
    own = f"BIN={Path(sys.executable).parent}", "CORES=2", "PROFILE=small"
    return begin(folder, ["make", *own, *arguments])


def begin(folder: Path, command: list[str]) -> "subprocess.Popen[str]":
    """A command, leader of a process group of its own."""
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    process = start(folder, *arguments)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def ran(folder: Path, target: str, good: bool = True) -> list[str]:
    """Names of the runs that Snakemake starts for a target or a figure, in order.

    As `make` does, but without its check of all parameters before, which has tests of its own.
    """
    (folder / "ran.txt").write_text("")
    command = [
        str(Path(sys.executable).parent / "snakemake"),
        "--nolock",
        "--cores",
        "2",
        "--config",
    ]
    what = [f"figure={target}", "--", "figures"] if target.startswith("fig0") else ["--", target]
    done = subprocess.run(
        [*command, "profile=small", *what],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is good, done.stderr
    return noted(folder)


def noted(folder: Path) -> list[str]:
    return (folder / "ran.txt").read_text().split()


def test_a_batch_runs_makers_before_readers_and_then_nothing(small: Path) -> None:
    done = make(small, "reproduce")
    assert done.returncode == 0, done.stderr
    names = noted(small)
    assert sorted(names) == [*STEMS, "gallery"]
    order = {name: number for number, name in enumerate(names)}
    assert order["02_policy_training"] < order["03_transfer_datasets"] < order["12_statistics"]
    assert order["02_policy_training-warm"] < order["08_ablation_experts"]
    assert ran(small, "all") == []
    assert ran(small, "figures") == []
    (small / "figures/small/01_toy_gaussians_data.png").unlink()
    assert ran(small, "all") == ["01_toy_gaussians", "gallery"]


def test_a_change_repeats_what_depends_on_it_and_nothing_else(small: Path) -> None:
    ran(small, "all")
    params = small / "params" / "small"
    (params / "01_toy_gaussians.yaml").touch()
    assert ran(small, "all") == []
    stem = "02_policy_training"
    changed = parameters(stem, STEMS[stem] | {"episodes": 4})
    write(params / "02_policy_training.yaml", yaml.safe_dump(changed))
    chain = ["02_policy_training", "03_transfer_datasets", "12_statistics"]
    assert ran(small, "all") == [*chain, "gallery"]
    another = PROJECT / "policies" / "mnist-cnn-short.safetensors"
    shutil.copy(another, small / "policies" / "shipped.safetensors")
    names = ran(small, "all")
    assert sorted(names) == ["08_ablation_experts", "12_statistics", "gallery"]


def test_a_change_of_the_library_repeats_all_but_one_of_the_gallery_only_that(small: Path) -> None:
    ran(small, "all")
    write(small / "ialelib" / "runner" / "gallery.py", GALLERY + "# changed\n")
    assert ran(small, "all") == ["gallery"]
    with (small / "ialelib" / "utils" / "errors.py").open("a") as file:
        file.write("\n# a comment\n")
    assert sorted(ran(small, "all")) == [*STEMS, "gallery"]
    with (small / "Snakefile").open("a") as file:
        file.write("\n# a comment\n")
    assert ran(small, "all") == []


def test_a_failure_stops_only_what_needs_it_and_stays_readable(small: Path) -> None:
    write(small / "broken.txt", "02_policy_training-warm")
    names = ran(small, "all", good=False)
    assert sorted(names) == sorted(set(STEMS) - {"08_ablation_experts"})
    log = small / "runs" / "small" / "logs" / "02_policy_training-warm.ipynb"
    assert log.read_text() == "the run of 02_policy_training-warm"
    write(small / "broken.txt", "")
    rest = ["02_policy_training-warm", "08_ablation_experts", "gallery"]
    assert ran(small, "all") == rest


def published(folder: Path, stem: str) -> dict[str, str]:
    """What stands in the files that a notebook leaves: figures, tables and a policy."""
    names = profile(folder)[stem].outputs()
    return {name: (folder / name).read_text() for name in names if (folder / name).exists()}


def publish(folder: Path, stem: str) -> dict[str, str]:
    """Write figures, tables and the policy as a clone has them, before anything has run."""
    for name in profile(folder)[stem].outputs():
        write(folder / name, "published")
    return published(folder, stem)


def test_a_notebook_that_fails_leaves_everything_published_as_it_was(small: Path) -> None:
    stem = "02_policy_training"
    before = publish(small, stem)
    assert len(before) == 8
    write(small / "broken.txt", stem)
    assert ran(small, "fig03a", good=False) == [stem]
    assert published(small, stem) == before
    write(small / "broken.txt", "")
    assert ran(small, "fig03a") == [stem]
    assert set(published(small, stem).values()) == {f"the output of {stem}"}
    changed = parameters(stem, STEMS[stem] | {"episodes": 4})
    write(small / "params" / "small" / f"{stem}.yaml", yaml.safe_dump(changed))
    write(small / "broken.txt", stem)
    assert ran(small, "fig03a", good=False) == [stem]
    assert set(published(small, stem).values()) == {f"the output of {stem}"}


def test_a_killed_batch_deletes_nothing_published(small: Path) -> None:
    stem = "02_policy_training"
    before = publish(small, stem)
    write(small / "slow.txt", stem)
    process = start(small, "fig03a")
    until = time.monotonic() + 120
    first = next(iter(before))
    while (small / first).read_text() == "published":
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    # The run itself had begun to write the first; of files that are written whole, that is all.
    assert published(small, stem) == before | {first: f"half of {stem}"}
    write(small / "slow.txt", "")
    assert ran(small, "fig03a") == [stem]
    assert set(published(small, stem).values()) == {f"the output of {stem}"}


def test_a_dry_run_touches_nothing(small: Path) -> None:
    publish(small, "01_toy_gaussians")
    (small / "figures/small/01_toy_gaussians_data.svg").unlink()
    before = files(small)
    for where in ("WHERE=--dry-run --cores 2", "WHERE=--list-rules"):
        done = make(small, "reproduce", where)
        assert done.returncode == 0
        assert "01_toy_gaussians" in done.stdout
    assert files(small) == before


def files(folder: Path) -> dict[Path, int]:
    """Every file and when it was written, but for the lock, and Snakemake's notes and log."""
    paths = [path for path in folder.rglob("*") if ".snakemake" not in path.parts]
    kept = [path for path in paths if path.name not in (".lock", "batch.log")]
    return {path: path.stat().st_mtime_ns for path in kept if path.is_file()}


def test_one_figure_runs_only_what_it_comes_from(small: Path) -> None:
    assert ran(small, "fig03b") == ["02_policy_training", "03_transfer_datasets"]
    measured = (small / "runs/small/benchmarks/02_policy_training.tsv").read_text()
    assert {"s", "max_rss", "cpu_time"} <= set(measured.splitlines()[0].split("\t"))
    assert ran(small, "fig03a") == []
    # This profile has no run of its own for Kuzushiji-MNIST.
    assert ran(small, "fig03c") == []


def test_a_figure_a_table_or_a_policy_that_was_deleted_is_made_again(small: Path) -> None:
    ran(small, "figures")
    lost = {
        "08_ablation_experts": "figures/small/08_ablation_experts_gains.svg",
        "12_statistics": "figures/small/12_statistics_aubc.csv",
        "02_policy_training-warm": "policies/warm.md",
    }
    for name in lost.values():
        (small / name).unlink()
    assert set(ran(small, "figures")) == set(lost)
    assert all((small / name).exists() for name in lost.values())


def test_a_damaged_notebook_is_made_again_with_what_reads_it_and_stops_no_other(
    small: Path,
) -> None:
    assert make(small, "figures").returncode == 0
    path = small / "runs" / "small" / "03_transfer_datasets.ipynb"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    write(small / "ran.txt", "")
    done = make(small, "figures")
    assert done.returncode == 0, done.stderr
    assert "warning: runs/small/03_transfer_datasets.ipynb is damaged: kept as " in done.stderr
    assert noted(small) == ["03_transfer_datasets", "12_statistics"]
    assert path.read_bytes() == whole
    write(small / "ran.txt", "")
    assert make(small, "figures").returncode == 0
    assert noted(small) == []


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
    assert check.drawing("fig03c", ["03", "03-kmnist"], table) == "03-kmnist"
    assert check.drawing("fig03c", ["03"], table) == "03"
    assert check.drawing("fig12i", ["05"], {"fig12": ["05"]}) == "05"
    with pytest.raises(InputError, match="unknown figure 'fig03b'"):
        check.drawing("fig03b", ["03"], table)
    with pytest.raises(InputError, match="03-kmnist or 03"):
        check.drawing("fig03c", ["01"], table)


def test_what_a_figure_was_drawn_from_is_said() -> None:
    values = {"datasets": ["mnist", "fmnist"], "classifier": "cnn", "budget": 60, "seeds": [0, 1]}
    assert check.summary(values) == "mnist, fmnist; cnn; 60 labels; 2 seeds"
    assert check.summary({"dataset": "mnist", "seeds": [0]}) == "mnist; 1 seeds"
    assert check.summary({"overlap": 0.2}) == ""


def test_a_batch_ends_with_what_its_figures_were_drawn_from(small: Path) -> None:
    assert "params/small/01_toy_gaussians.yaml: " in make(small, "fig01").stdout


def test_a_figure_takes_its_params_file_and_all_that_makes_what_it_needs(small: Path) -> None:
    stems = profile(small)
    found = ["02_policy_training", "03_transfer_datasets", "12_statistics"]
    assert check.needed("12_statistics", stems) == found
    assert check.needed("08_ablation_experts", stems) == [
        "02_policy_training-warm",
        "08_ablation_experts",
    ]


@pytest.mark.parametrize("name", ["quick", "cpu", "paper"])
def test_a_profile_draws_the_figures_of_its_notebooks(name: str) -> None:
    stems = [path.stem for path in (PROJECT / "params" / name).glob("*.yaml")]
    drawable = {figure for figure, source in FIGURES.items() if set(source) & set(stems)}
    assert {"fig01", "fig03a", "fig03b", "fig03c", "fig04a", "fig04b"} <= drawable
    assert {check.drawing(figure, stems, FIGURES) for figure in drawable} <= set(stems)
