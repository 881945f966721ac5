"""Typed parameters: what a notebook or a YAML file may say, and what it is told otherwise."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ialelib import data, policy
from ialelib.errors import InputError
from ialelib.params import NOTEBOOKS, PolicyTraining, ToyGaussians, TransferDatasets, main, read

PROJECT = Path(__file__).parent.parent
SHIPPED = [str(path.relative_to(PROJECT)) for path in sorted(PROJECT.glob("params/*/*.yaml"))]

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
}
COMMON = ("runs", "figures", "initial", "acq", "n", "seeds", "processes")
CYCLES: dict[str, Any] = {name: TOY[name] for name in COMMON} | {
    "classifier": "mlp",
    "budget": 40,
    "recipe": "fast",
    "strategies": ["random", "policy"],
}
TRAINING: dict[str, Any] = CYCLES | {
    "dataset": "mnist-10k",
    "experts": ["entropy", "coreset"],
    "episodes": 2,
    "p": 0.5,
    "validation": 100,
    "target": "best",
    "seed": 0,
    "save_policy": None,
}


def write(folder: Path, text: str, name: str = "01_toy_gaussians.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_of_picks_the_plain_variables_of_a_notebook() -> None:
    namespace = TOY | {"Path": Path, "_": 3, "_i1": "code", "In": [], "Out": {}, "data": data}
    assert ToyGaussians.of(namespace) == ToyGaussians(**TOY)


def test_a_misspelt_variable_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown parameter 'overlpa'; did you mean 'overlap'"):
        ToyGaussians.of(TOY | {"overlpa": 0.3})


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(InputError, match="parameter 'overlap' is missing"):
        ToyGaussians.of({name: value for name, value in TOY.items() if name != "overlap"})


@pytest.mark.parametrize("name", ["overlap", "acq"])
def test_a_number_that_yaml_reads_as_text_is_explained(name: str) -> None:
    with pytest.raises(InputError, match=rf"'{name}'.*'1e-4'.*write 1\.0e-4"):
        ToyGaussians.of(TOY | {name: "1e-4"})


@pytest.mark.parametrize("value", [True, "10", 10.0, None])
def test_a_whole_number_is_a_whole_number(value: object) -> None:
    with pytest.raises(InputError, match="parameter 'acq'"):
        ToyGaussians.of(TOY | {"acq": value})


def test_all_wrong_values_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"'acq'.*'seeds\.1'"):
        ToyGaussians.of(TOY | {"acq": "ten", "seeds": [1, "two"]})


def test_a_value_of_neither_kind_is_named_by_its_parameter() -> None:
    with pytest.raises(InputError, match=r"parameter 'p'.*decay.*'decya'"):
        PolicyTraining.of(TRAINING | {"p": "decya"})


def test_parameters_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ToyGaussians.of(TOY).acq = 3


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
        ToyGaussians.of(TOY | change)


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
        ({"p": 1.5}, "p must lie in"),
        ({"budget": 9000}, "needs .*'mnist-10k' has 8000"),
    ],
)
def test_training_values_that_cannot_run_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PolicyTraining.of(TRAINING | change)


def test_parameters_become_those_of_algorithm_1() -> None:
    imitation = PolicyTraining.of(TRAINING | {"p": "decay", "seed": 7}).imitation()
    assert (imitation.p, imitation.seed, imitation.episodes) == ("decay", 7, 2)
    assert imitation.experts == ("entropy", "coreset")
    assert (imitation.setting.budget, imitation.validation) == (40, 100)


def test_a_transfer_needs_its_policy(tmp_path: Path) -> None:
    values = CYCLES | {"datasets": ["mnist-10k"], "policy": str(tmp_path / "none.safetensors")}
    with pytest.raises(InputError, match=r"no policy file at .*none\.safetensors"):
        TransferDatasets.of(values)


def test_a_transfer_may_use_a_policy_that_the_same_batch_trains() -> None:
    values = CYCLES | {"datasets": ["mnist-10k"], "policy": "runs/new.safetensors"}
    found = TransferDatasets.checked(values, made={"runs/new.safetensors"})
    assert found.policy == "runs/new.safetensors"


def test_runs_go_to_a_fresh_temporary_folder_unless_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = (ToyGaussians.of(TOY).runs_folder("toy") for _ in range(2))
    assert one != other
    assert one.parents[1] == other.parents[1] == tmp_path


def test_named_runs_lie_in_the_project_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    write(notebooks, "{}", "00_index.ipynb")
    monkeypatch.chdir(notebooks)
    assert ToyGaussians.of(TOY | {"runs": "kept"}).runs_folder("toy") == tmp_path / "kept/toy"


def test_read_gives_the_parameters_of_a_file(tmp_path: Path) -> None:
    assert read(write(tmp_path, yaml.safe_dump(TOY))) == ToyGaussians(**TOY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (yaml.safe_dump(TOY | {"acq": "ten"}), "parameter 'acq'"),
        ("acq: [1, 2", "expected"),
        ("- acq\n- n\n", "name: value"),
        ("", "name: value"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"(?s)01_toy_gaussians\.yaml: .*{message}"):
        read(write(tmp_path, text))


def test_a_file_for_no_notebook_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"01_toy_gausians\.yaml: .*mean '01_toy_gaussians'"):
        read(write(tmp_path, "", "01_toy_gausians.yaml"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"01_toy_gaussians\.yaml: .*[Nn]o such file"):
        read(tmp_path / "01_toy_gaussians.yaml")


def test_main_passes_good_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, yaml.safe_dump(TOY))
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_main_knows_what_an_earlier_file_trains(tmp_path: Path) -> None:
    made = str(tmp_path / "new.safetensors")
    write(tmp_path, yaml.safe_dump(TRAINING | {"save_policy": made}), "02_policy_training.yaml")
    transfer = yaml.safe_dump(CYCLES | {"datasets": ["mnist-10k"], "policy": made})
    write(tmp_path, transfer, "03_transfer_datasets.yaml")
    assert main([str(tmp_path)]) == 0


def test_main_finds_nothing_in_an_empty_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"no params files in {tmp_path}" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_and_exits_with_2(tmp_path: Path) -> None:
    write(tmp_path, yaml.safe_dump(TOY | {"overlpa": 1}))
    command = [sys.executable, "-m", "ialelib.params", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "did you mean 'overlap'" in done.stderr


def lacking(values: dict[str, Any], made: set[str]) -> list[str]:
    """Data sets and policies that a file names and this machine does not have."""
    names = values.get("datasets", []) + [values[k] for k in ("dataset",) if k in values]
    stems = {path.stem for where in (data.folder(), data.SAMPLES) for path in where.glob("*.npz")}
    shipped = {path.stem for where in policy.SHIPPED for path in where.glob("*.safetensors")}
    needed = {values["policy"]} - made - shipped if "policy" in values else set()
    return [n for n in names if not {n, n.removesuffix("-10k")} & stems] + sorted(needed)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_good(name: str) -> None:
    path = PROJECT / name
    training = yaml.safe_load((path.parent / "02_policy_training.yaml").read_text())
    made = {str(training["save_policy"])}
    absent = lacking(yaml.safe_load(path.read_text()), made)
    if absent:
        pytest.skip(f"not on this machine: {', '.join(absent)}")
    assert isinstance(read(path, made), NOTEBOOKS[path.stem.split("-")[0]])


def test_every_profile_has_a_file_for_every_notebook() -> None:
    expected = {f"params/{p}/{n}.yaml" for p in ("quick", "cpu", "paper") for n in NOTEBOOKS}
    assert set(SHIPPED) >= expected
