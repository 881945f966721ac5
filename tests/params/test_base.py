"""Typed parameters: what a notebook may say, and what it is told otherwise."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from ialelib.params.base import code
from ialelib.params.comparing import Overlap, TransferDatasets
from ialelib.params.learning import PolicyTraining, ToyGaussians
from ialelib.utils.errors import InputError
from ialelib.utils.workers import temporary_folder

ROOT = Path(__file__).parents[2]
TOY: dict[str, Any] = {
    "runs": None,
    "figures": "figures/test",
    "overlap": 0.2,
    "samples": 800,
    "initial": 20,
    "acq": 10,
    "acquisitions": 2,
    "n": 50,
    "episodes": 2,
    "seeds": [1, 2],
    "processes": 1,
    "save_policy": None,
}
COMMON = ("runs", "figures", "initial", "acq", "n", "seeds", "processes")
CYCLES: dict[str, Any] = {name: TOY[name] for name in COMMON} | {
    "classifier": "mlp",
    "budget": 40,
    "recipe": "fast",
    "strategies": ["random", "policy"],
}
TRANSFER = CYCLES | {"datasets": ["mnist-10k"], "policy": "mnist-cnn", "alil": None}
TRAINING: dict[str, Any] = CYCLES | {
    "dataset": "mnist-10k",
    "experts": ["entropy", "coreset"],
    "episodes": 2,
    "p": 0.5,
    "validation": 100,
    "target": "best",
    "parts": "full",
    "ranking": "scratch",
    "per_round": 1,
    "seed": 0,
    "save_policy": None,
}


HEAD = "# Parameters of the quick profile; papermill puts others below.\n"
INJECTED = "# Parameters\n"


def cell(values: dict[str, Any], head: str = HEAD) -> str:
    return head + "\n".join(f"{name} = {value!r}" for name, value in values.items())


def run(*cells: str, **startup: Any) -> dict[str, Any]:
    """The variables of a kernel after these cells, with what a start-up file defined before."""
    namespace: dict[str, Any] = {"In": [""], **startup}
    for source in cells:
        namespace["In"].append(source)
        exec(source, namespace)
    return namespace


def test_of_reads_the_cell_of_parameters_and_nothing_else() -> None:
    others = "name = 'mine'\noverlap_seen = 1\nfor seed in range(3): pass"
    kernel = run(cell(TOY), others, home="/root", acqs=3)
    assert ToyGaussians.of(kernel) == ToyGaussians(**TOY)


def test_of_follows_the_latest_run_of_a_changed_cell() -> None:
    kernel = run(cell(TOY | {"overlpa": 0.3}), cell(TOY | {"overlap": 0.3}))
    assert ToyGaussians.of(kernel).overlap == 0.3


def test_of_takes_what_papermill_puts_below() -> None:
    injected = cell({"overlap": 0.4, "seeds": [7]}, INJECTED)
    kernel = run(cell(TOY), injected)
    assert ToyGaussians.of(kernel) == ToyGaussians(**TOY | {"overlap": 0.4, "seeds": [7]})
    assert ToyGaussians.of(run(cell(TOY), injected, cell(TOY))) == ToyGaussians(**TOY)
    with pytest.raises(InputError, match="unknown parameter 'overlpa'; did you mean 'overlap'"):
        ToyGaussians.of(run(cell(TOY), cell({"overlpa": 0.4}, INJECTED)))


def test_of_does_not_count_names_inside_an_expression() -> None:
    values = {name: value for name, value in TOY.items() if name != "seeds"}
    kernel = run(cell(values) + "\nseeds = [number for number in range(2)]")
    assert ToyGaussians.of(kernel).seeds == [0, 1]


def test_of_takes_no_value_from_elsewhere_for_a_missing_parameter() -> None:
    values = {name: value for name, value in TOY.items() if name != "overlap"}
    with pytest.raises(InputError, match="parameter 'overlap' is missing"):
        ToyGaussians.of(run(cell(values), overlap=0.3))


def test_of_without_a_cell_of_parameters_says_what_to_run() -> None:
    with pytest.raises(InputError, match="no cell that starts with '# Parameters' has been run"):
        ToyGaussians.of(run("overlap = 0.2"))
    with pytest.raises(InputError, match=r"in a script, call ToyGaussians\.checked"):
        ToyGaussians.of({"overlap": 0.2})


def test_of_takes_the_fields_where_cells_are_run_without_being_kept() -> None:
    kernel = run(cell(TOY)) | {"In": [""], "name": "mine"}
    assert ToyGaussians.of(kernel) == ToyGaussians(**TOY)
    del kernel["overlap"]
    with pytest.raises(InputError, match="parameter 'overlap' is missing"):
        ToyGaussians.of(kernel)


def test_of_works_in_ipython_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # of a shell where another one is active
    shell = InteractiveShell()
    for source in (cell(TOY), "from ialelib.params.learning import ToyGaussians"):
        shell.run_cell(source, store_history=True)
    shell.run_cell("settings = ToyGaussians.of(globals())", store_history=True)
    assert shell.user_ns["settings"] == ToyGaussians(**TOY)


def test_a_misspelt_variable_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown parameter 'overlpa'; did you mean 'overlap'"):
        ToyGaussians.checked(TOY | {"overlpa": 0.3})


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(InputError, match="parameter 'overlap' is missing"):
        ToyGaussians.checked({name: value for name, value in TOY.items() if name != "overlap"})


@pytest.mark.parametrize("name", ["overlap", "acq"])
def test_a_number_that_yaml_reads_as_text_is_explained(name: str) -> None:
    with pytest.raises(InputError, match=rf"'{name}'.*'1e-4'.*write 1\.0e-4"):
        ToyGaussians.checked(TOY | {name: "1e-4"})


@pytest.mark.parametrize("value", [True, "10", 10.0, None])
def test_a_whole_number_is_a_whole_number(value: object) -> None:
    with pytest.raises(InputError, match="parameter 'acq'"):
        ToyGaussians.checked(TOY | {"acq": value})


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"'acq'.*'seeds\.1'"):
        ToyGaussians.checked(TOY | {"acq": "ten", "seeds": [1, "two"]})


def test_a_value_of_neither_kind_is_named_by_its_parameter() -> None:
    with pytest.raises(InputError, match=r"parameter 'p'.*decay.*'decya'"):
        PolicyTraining.checked(TRAINING | {"p": "decya"})


def test_parameters_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ToyGaussians.checked(TOY).acq = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overlap": 0.0}, "overlap must lie in"),
        ({"acq": 60}, "acquisition size 60 exceeds the sub-pool of n = 50"),
        ({"acquisitions": 100}, "budget 1020 .*needs"),
        ({"episodes": 0}, "episodes"),
    ],
)
def test_toy_values_that_cannot_run_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ToyGaussians.checked(TOY | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "mnits-10k"}, "unknown data set 'mnits-10k'; did you mean 'mnist-10k'"),
        ({"experts": ["entrpy"]}, "unknown expert 'entrpy'; did you mean 'entropy'"),
        ({"strategies": ["bagde"]}, "unknown strategy 'bagde'; did you mean 'badge'"),
        ({"strategies": ["polciy"]}, "unknown strategy 'polciy'; did you mean 'policy'"),
        ({"classifier": "cnm"}, "unknown classifier 'cnm'; did you mean 'cnn'"),
        ({"recipe": "fats"}, "unknown recipe 'fats'; did you mean 'fast'"),
        ({"target": "bset"}, "parameter 'target'.*'best' or 'weighted'"),
        ({"ranking": "wram"}, "parameter 'ranking'.*'scratch' or 'warm'"),
        ({"per_round": 0}, "per_round .*at least 1"),
        ({"p": 1.5}, "p must lie in"),
        ({"budget": 9000}, "needs .*'mnist-10k' has 8000"),
        ({"save_policy": "mine.safetensors"}, "parameter 'save_policy': .*not 'mine.safetensors'"),
        ({"save_policy": "/elsewhere/mine"}, "parameter 'save_policy': .*not '/elsewhere/mine'"),
    ],
)
def test_training_values_that_cannot_run_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PolicyTraining.checked(TRAINING | change)


def test_parameters_become_those_of_algorithm_1() -> None:
    change = {"p": "decay", "seed": 7, "target": "weighted", "ranking": "warm", "per_round": 3}
    config = PolicyTraining.checked(TRAINING | change).dagger_config()
    assert {name: getattr(config, name) for name in change} == change
    assert config.episodes == 2
    assert config.experts == ("entropy", "coreset")
    assert (config.cycle.budget, config.validation) == (40, 100)


def test_a_transfer_needs_its_policy(tmp_path: Path) -> None:
    values = TRANSFER | {"policy": str(tmp_path / "none.safetensors")}
    with pytest.raises(InputError, match=r"no policy file at .*none\.safetensors"):
        TransferDatasets.checked(values)


def test_alil_needs_its_policy_unless_it_is_left_out(tmp_path: Path) -> None:
    assert TransferDatasets.checked(TRANSFER).alil is None
    with pytest.raises(InputError, match=r"no policy file at .*none\.safetensors"):
        TransferDatasets.checked(TRANSFER | {"alil": str(tmp_path / "none.safetensors")})


def test_a_transfer_may_use_a_policy_that_the_same_batch_trains() -> None:
    values = TRANSFER | {"policy": "runs/new.safetensors"}
    found = TransferDatasets.checked(values, made={"runs/new.safetensors": None})
    assert found.policy == "runs/new.safetensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": ["mnits-10k"]}, "did you mean 'mnist-10k'"),
        ({"budget": 9000}, "'mnist-10k' has 8000"),
        ({"policy": "mnist-cmn"}, "mnist-cmn"),
        ({"classifier": "toy_mlp"}, "reads embeddings of 128 dimensions, the classifier's have 16"),
        ({"strategies": ["badge"]}, "unknown parameter 'strategies'"),
    ],
)
def test_overlap_values_that_cannot_run_are_refused(change: dict[str, Any], message: str) -> None:
    values = CYCLES | {"datasets": ["mnist-10k"], "policy": "mnist-cnn"}
    values.pop("strategies")
    assert Overlap.checked(values).cycle_config().budget == CYCLES["budget"]
    with pytest.raises(InputError, match=message):
        Overlap.checked(values | change)


def test_runs_go_to_a_temporary_folder_of_the_process_unless_named() -> None:
    one, other = (ToyGaussians.checked(TOY).runs_folder() for _ in range(2))
    assert one == other == temporary_folder() / "01_toy_gaussians"


@pytest.mark.parametrize("seen", [True, False])
def test_results_by_hand_have_their_own_folders_and_leave_none_where_a_program_runs_it(
    empty_checkout: Path, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    monkeypatch.setattr("ialelib.params.base.watched", lambda: seen)
    by_hand = {"runs": "runs/interactive/{code}", "figures": "figures/interactive"}
    settings = ToyGaussians.checked(TOY | by_hand)
    top = empty_checkout if seen else temporary_folder()
    assert settings.runs_folder() == top / "runs/interactive" / code() / "01_toy_gaussians"
    assert settings.path("curves.csv").parent == top / "figures/interactive"
    assert (empty_checkout / "figures").exists() == seen
    # A batch names other folders, and has them whoever watches.
    batch = ToyGaussians.checked(TOY | {"runs": "runs/quick", "figures": "figures/quick"})
    assert batch.runs_folder() == empty_checkout / "runs/quick/01_toy_gaussians"
    assert batch.path("curves.csv").parent == empty_checkout / "figures/quick"


def test_runs_named_by_the_code_start_anew_after_an_edit(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("1")
    before = code(tmp_path)
    assert code(tmp_path) == before
    (tmp_path / "one.py").write_text("2")
    edited = code(tmp_path)
    (tmp_path / "one.py").rename(tmp_path / "two.py")
    assert len({before, edited, code(tmp_path), code()}) == 4
    runs = ToyGaussians.checked(TOY | {"runs": "runs/{code}"}).runs_folder()
    assert runs.parts[-3:] == ("runs", code(), "01_toy_gaussians")


def test_named_runs_lie_in_the_project_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "00_index.ipynb").touch()
    monkeypatch.chdir(notebooks)
    assert (
        ToyGaussians.checked(TOY | {"runs": "kept"}).runs_folder()
        == tmp_path / "kept/01_toy_gaussians"
    )


SETTINGS = """import ialelib as iale
settings = iale.params.ToyGaussians.of(globals())
print(settings.runs_folder(), iale.data.folder())"""


def papermill(folder: Path, library: Path) -> "subprocess.CompletedProcess[str]":
    """Run a notebook of a copy of the library from a folder outside of any checkout."""
    cells = [nbformat.v4.new_code_cell(text) for text in (cell(TOY | {"runs": "kept"}), SETTINGS)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "a.ipynb")
    command = [sys.executable, "-m", "papermill", "--log-output", "a.ipynb", "b.ipynb"]
    own = {"PYTHONPATH": str(library), "IALE_DATA": "sets"}
    return subprocess.run(
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False
    )


def test_papermill_outside_of_the_checkout_finds_the_project(tmp_path: Path) -> None:
    done = papermill(tmp_path, ROOT)
    assert done.returncode == 0, done.stderr
    assert f"{ROOT}/kept/01_toy_gaussians {ROOT}/sets" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.ipynb", "b.ipynb"}


def test_papermill_outside_stops_at_the_settings_where_there_is_no_project(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    shutil.copytree(ROOT / "ialelib", tmp_path / "site" / "ialelib")
    done = papermill(here, tmp_path / "site")
    assert done.returncode == 1
    last = [line for line in done.stderr.splitlines() if line.strip()][-1]
    assert last.startswith(f"InputError: neither {here} nor the installed library lies in a check")
    assert last.endswith("run the notebook in its own folder, as papermill does with --cwd")


def test_a_file_that_the_class_does_not_declare_is_refused(tmp_path: Path) -> None:
    settings = ToyGaussians.checked(TOY | {"figures": str(tmp_path / "new")})
    assert settings.path("curves.csv") == tmp_path / "new" / "01_toy_gaussians_curves.csv"
    assert settings.path("data.svg").parent.is_dir()
    with pytest.raises(InputError, match=r"01_toy_gaussians 'curvs\.csv'; did you mean 'curves"):
        settings.path("curvs.csv")


def test_outputs_are_all_that_is_declared_and_the_saved_policy() -> None:
    settings = ToyGaussians.checked(TOY | {"save_policy": "mine"})
    stem = "figures/test/01_toy_gaussians_"
    drawn = [f"{stem}{name}.{end}" for name in ("data", "strategies") for end in ("svg", "png")]
    saved = ["policies/mine.safetensors", "policies/mine.md"]
    assert settings.outputs() == [f"{stem}curves.csv", *drawn, *saved]
    assert settings.makes() == {f"{stem}curves.csv", "mine"}
    assert settings.needs() == set()


def test_needs_are_found_by_type_and_not_by_name() -> None:
    transfer = TransferDatasets.model_construct(**TRANSFER | {"policy": "new", "alil": "own"})
    assert transfer.needs() == {"new", "own"}
    assert TransferDatasets.checked(TRANSFER).needs() == {"mnist-cnn"}
    assert transfer.makes() == {"figures/test/03_transfer_datasets_curves.csv"}
