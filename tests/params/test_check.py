"""Files of parameters, the command that checks them, and those that are shipped."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_base import CYCLES, TOY, TRAINING

from ialelib import data, params, policy
from ialelib.params.base import Params
from ialelib.params.learning import AlilTraining, PolicyTraining, ToyGaussians
from ialelib.runner.check import NOTEBOOKS, batch, main, read
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
SHIPPED = [str(path.relative_to(PROJECT)) for path in sorted(PROJECT.glob("params/*/*.yaml"))]


def write(folder: Path, text: str, name: str = "01_toy_gaussians.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


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
    made = "new"
    write(tmp_path, yaml.safe_dump(TRAINING | {"save_policy": made}), "02_policy_training.yaml")
    values = CYCLES | {"datasets": ["mnist-10k"], "policy": made, "alil": None}
    transfer = yaml.safe_dump(values)
    write(tmp_path, transfer, "03_transfer_datasets.yaml")
    assert main([str(tmp_path)]) == 0


def test_two_files_that_write_the_same_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("01_toy_gaussians.yaml", "01_toy_gaussians-copy.yaml"):
        text = yaml.safe_dump(TOY | {"save_policy": "mine", "figures": name})
        write(tmp_path, text, name)
    assert main([str(tmp_path)]) == 2
    assert "would both write mine" in capsys.readouterr().err


def test_two_files_that_draw_the_same_figure_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("01_toy_gaussians.yaml", "01_toy_gaussians-copy.yaml"):
        write(tmp_path, yaml.safe_dump(TOY), name)
    assert main([str(tmp_path)]) == 2
    assert "would both write figures/test/01_toy_gaussians_curves.csv" in capsys.readouterr().err


def test_main_knows_what_a_later_file_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = "new"
    transfer = CYCLES | {"datasets": ["mnist-10k"], "policy": "mnist-cnn", "alil": made}
    write(tmp_path, yaml.safe_dump(transfer), "03_transfer_datasets.yaml")
    assert main([str(tmp_path)]) == 2
    assert "parameter 'alil': unknown policy 'new'" in capsys.readouterr().err
    training = {name: TRAINING[name] for name in AlilTraining.model_fields} | {"save_policy": made}
    training["strategies"] = ["random"]
    write(tmp_path, yaml.safe_dump(training), "15_alil.yaml")
    assert main([str(tmp_path)]) == 0


def test_main_names_every_bad_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, yaml.safe_dump(TOY))
    for name in ("01_toy_gaussians-a.yaml", "01_toy_gaussians-b.yaml"):
        write(tmp_path, "", name)
    assert main([str(tmp_path)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1].strip()[-6:] for line in lines] == ["a.yaml", "b.yaml"]


@pytest.mark.usefixtures("empty_checkout")
def test_main_knows_which_table_an_earlier_file_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "figures/02_policy_training_curves.csv"
    training = TRAINING | {"figures": "figures"}
    statistics = {
        "runs": None,
        "figures": "figures",
        "curves": [table],
        "policy": "mnist-cnn",
        "reference": "random",
    }
    write(tmp_path, yaml.safe_dump(statistics), "12_statistics.yaml")
    assert main([str(tmp_path)]) == 2
    assert (
        f"no table {tmp_path / table}; run the notebook that makes it first"
        in capsys.readouterr().err
    )
    write(tmp_path, yaml.safe_dump(training), "02_policy_training.yaml")
    assert main([str(tmp_path)]) == 0


def test_main_finds_nothing_in_an_empty_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"no params files in {tmp_path}" in capsys.readouterr().err


def test_main_without_a_folder_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: python -m ialelib.runner.check FOLDER [FIGURE]" in capsys.readouterr().err


LAUGHS = "runs: &a [ha, ha]\nfigures: &b [*a, *a]\nseeds: &c [*b, *b]\nn: [*c, *c]\n"
BAD_TEXTS = {
    "a name twice": (yaml.safe_dump(TOY) + "acq: 20\n", "'acq' stands there twice; leave one"),
    "a list as a name": ("[acq]: 1\n", "a name stands before a colon"),
    "a name twice in disguise": ("<<: {acq: 20}\nacq: 10\n", "the lines themselves in place of <<"),
    "an octal number": (yaml.safe_dump(TOY) + "x: 012\n", "YAML reads 012 as another number"),
    "a number to the base of 60": ("x: 1:30\n", "YAML reads 1:30 as another number"),
    "values that multiply": (LAUGHS, "line 2: write the value in place of its alias"),
    "a value in itself": ("seeds: &x [*x]\n", "write the value in place of its alias"),
    "a list in lists": ("acq: " + "[" * 5000 + "]" * 5000, "more than 10 deep"),
    "a map in maps": ("acq: " + "{a: " * 500 + "}" * 500, "more than 10 deep"),
    "a number without end": ("acq: " + "9" * 5000, "limit"),
    "no date": ("acq: 2020-13-45", "month"),
    "a command": ("acq: !!python/object/apply:os.system ['true']", "constructor"),
    "no text": ("\x00", "unacceptable character"),
}
BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    ({"seeds": [-1]}, "parameter 'seeds': seeds are 0 or more, not -1"),
    ({"seeds": [10**30]}, "parameter 'seeds': numbers are finite, and go up to 4,294,967,295"),
    ({"seeds": list(range(1001))}, "parameter 'seeds': lists have up to 1,000 entries"),
    ({"seeds": [[[[1]]]]}, "parameter 'seeds': lists have up to"),
    ({"processes": 10**9}, "parameter 'processes': numbers are finite, and go up to 1,000,000"),
    ({"processes": 2000}, "parameter 'processes': 1 to 1,024, not 2000"),
    ({"processes": 0}, "parameter 'processes': 1 to 1,024, not 0"),
    ({"samples": -5}, "parameter 'samples': 1 or more, not -5"),
    ({"samples": 10**12}, "parameter 'samples': numbers are finite, and go up to 1,000,000"),
    ({"samples": 1e12}, "parameter 'samples': numbers are finite, and go up to 1,000,000"),
    ({"episodes": 10**12}, "parameter 'episodes': numbers are finite"),
    ({"overlap": float("nan")}, "parameter 'overlap': numbers are finite"),
    ({"overlap": float("-inf")}, "parameter 'overlap': numbers are finite"),
    ({"save_policy": "a" * 300}, "parameter 'save_policy': a name has up to 100 bytes"),
    ({"save_policy": "a" * 3000}, "parameter 'save_policy': texts have up to 1,000 characters"),
    ({"save_policy": "$(touch x)"}, "parameter 'save_policy': letters, digits, - and _ make"),
    ({"figures": "a" * 300}, "parameter 'figures': each part of it has up to 100 bytes"),
    ({"figures": "a\0b"}, "parameter 'figures': letters, digits, spaces and"),
    ({"figures": ""}, "parameter 'figures': letters, digits, spaces and"),
    ({"figures": "x'; touch y"}, "parameter 'figures': letters, digits, spaces and"),
    ({"figures": "{wildcard}"}, "parameter 'figures': letters, digits, spaces and"),
    ({"figures": ".git/x"}, "'.git/x' is no folder inside of the project"),
    ({"figures": "."}, "'.' is no folder inside of the project"),
    ({"figures": "/etc"}, "'/etc' is no folder inside of the project"),
    ({"figures": "~/figures"}, "'~/figures' is no folder inside of the project"),
    ({"runs": "figures/../../x"}, "'figures/../../x' is no folder inside of the project"),
    ({"runs": "README.md/x"}, "no files can be written to"),
]


def assert_refused_in_a_line(
    capsys: pytest.CaptureFixture[str], folder: Path, message: str
) -> None:
    """By the command, with the name of the file."""
    assert main([str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {folder}/01_toy_gaussians.yaml: ")
    assert message in line
    assert len(line) < 500


@pytest.mark.parametrize(("text", "message"), BAD_TEXTS.values(), ids=BAD_TEXTS)
def test_main_refuses_a_text_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    write(tmp_path, text)
    assert_refused_in_a_line(capsys, tmp_path, message)


@pytest.mark.parametrize(("change", "message"), BAD_VALUES)
def test_main_refuses_a_value_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], message: str
) -> None:
    write(tmp_path, yaml.safe_dump(TOY | change))
    assert_refused_in_a_line(capsys, tmp_path, message)


def test_the_seed_of_a_training_is_checked_as_all_others() -> None:
    with pytest.raises(InputError, match="parameter 'seed': seeds are 0 or more, not -1"):
        PolicyTraining.checked(TRAINING | {"seed": -1})


@pytest.mark.parametrize("variant", ["$(touch x)", "a b", "a'b", 'a"b', "a;b", "a\nb"])
def test_params_files_have_plain_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], variant: str
) -> None:
    write(tmp_path, yaml.safe_dump(TOY), f"01_toy_gaussians-{variant}.yaml")
    assert main([str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "letters, digits and . _ - make the name of a params file; give it another" in line
    with pytest.raises(InputError, match="make the name of a params file"):
        batch(tmp_path)


@pytest.mark.usefixtures("empty_checkout")
def test_a_folder_of_runs_that_takes_no_files_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, yaml.safe_dump(TOY))
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).name != "runs")
    assert main([str(tmp_path)]) == 2
    assert f"no files can be written to {tmp_path / 'runs'}; make it" in capsys.readouterr().err


@pytest.mark.usefixtures("empty_checkout")
@pytest.mark.parametrize(
    "text", ["fig01: [", "fig01: 3\n", "- fig01\n", "fig01: {curves: []}\n", "fig01: [a]\n", None]
)
def test_a_table_of_figures_that_cannot_be_read_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str | None,
) -> None:
    write(tmp_path, yaml.safe_dump(TOY))
    (tmp_path / "profile").mkdir()
    write(tmp_path / "profile", yaml.safe_dump(TOY))
    if text:
        write(tmp_path, text, "figures.yaml")
    assert main(["profile", "fig01"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path}/figures.yaml")


def test_one_figure_asks_for_its_own_files_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, yaml.safe_dump(TOY), "01_toy_gaussians.yaml")
    write(tmp_path, yaml.safe_dump(TRAINING | {"episods": 1}), "02_policy_training.yaml")
    assert main([str(tmp_path), "fig01"]) == 0
    assert main([str(tmp_path), "fig03a"]) == 2
    assert "02_policy_training.yaml: unknown parameter 'episods'" in capsys.readouterr().err
    assert main([str(tmp_path), "fig3a"]) == 2
    assert "unknown figure 'fig3a'; did you mean 'fig03a'?" in capsys.readouterr().err


def test_the_command_says_what_is_wrong_and_exits_with_2(tmp_path: Path) -> None:
    write(tmp_path, yaml.safe_dump(TOY | {"overlpa": 1}))
    command = [sys.executable, "-m", "ialelib.runner.check", str(tmp_path)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "did you mean 'overlap'" in done.stderr


@pytest.fixture(scope="module")
def profiles() -> dict[str, dict[str, Params]]:
    return {name: batch(PROJECT / "params" / name) for name in ("quick", "cpu", "paper")}


def lacking(values: dict[str, Any], policies: set[str]) -> list[str]:
    """Data sets and policies that a file names and this machine does not have."""
    names = {values.get("dataset"), values.get("ranking_dataset"), *values.get("datasets", [])}
    stems = {path.stem for where in (data.folder(), data.SAMPLES) for path in where.glob("*.npz")}
    shipped = {path.stem for where in policy.SHIPPED for path in where.glob("*.safetensors")}
    absent = sorted(name for name in policies - shipped if not name.endswith(".csv"))
    return [n for n in names - {None} if not {n, n.rpartition("-")[0]} & stems] + absent


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_good(name: str, profiles: dict[str, dict[str, Params]]) -> None:
    path = PROJECT / name
    profile, values = profiles[path.parent.name], yaml.safe_load(path.read_text())
    made = {thing for each in profile.values() for thing in each.makes()}
    absent = lacking(values, profile[path.stem].needs() - made)
    if absent:
        pytest.skip(f"not on this machine: {', '.join(absent)}")
    settings = read(path, dict.fromkeys(made))
    assert isinstance(settings, NOTEBOOKS[path.stem.split("-")[0]])
    # The digest of the parameters in every published table is of the very values in the file.
    assert settings.model_dump(mode="json") == values


@pytest.mark.parametrize("profile", ["quick", "cpu", "paper"])
def test_no_two_shipped_files_leave_the_same(
    profile: str, profiles: dict[str, dict[str, Params]]
) -> None:
    left = [file for each in profiles[profile].values() for file in each.outputs()]
    assert len(left) == len(set(left))


def test_every_profile_has_a_file_for_every_notebook() -> None:
    expected = {f"params/{p}/{n}.yaml" for p in ("quick", "cpu", "paper") for n in NOTEBOOKS}
    assert len(NOTEBOOKS) == 21
    assert set(SHIPPED) >= expected


def test_the_room_gives_the_class_of_every_notebook() -> None:
    for kind in NOTEBOOKS.values():
        assert getattr(params, kind.__name__) is kind
        assert kind.__name__ in dir(params)
