"""Files of parameters: which notebook each is for, and whether a batch of them can run.

`python -m ialelib.runner.check FOLDER [FIGURE]` checks the YAML files in a folder before a batch starts.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from ialelib.params.base import NOTHING, Made, Params
from ialelib.params.notebooks import (
    AlilTraining,
    Compared,
    Overlap,
    OwnPool,
    PolicyTraining,
    RunTime,
    Sizes,
    Statistics,
    ToyGaussians,
    TrainingCost,
    TransferDatasets,
)
from ialelib.policy import Policy
from ialelib.runner.dependencies import needed
from ialelib.runner.dependencies import stem as stem_of
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import project

NOTEBOOKS: dict[str, type[Params]] = {
    "01_toy_gaussians": ToyGaussians,
    "02_policy_training": PolicyTraining,
    "03_transfer_datasets": TransferDatasets,
    "04_overlap": Overlap,
    "05_transfer_classifiers": Compared,
    "06_larger_images": Compared,
    "07_class_count": Compared,
    "08_ablation_experts": Compared,
    "09_ablation_sizes": Sizes,
    "10_own_pool": OwnPool,
    "11_training_cost": TrainingCost,
    "12_statistics": Statistics,
    "13_exploration": Compared,
    "14_run_time": RunTime,
    "15_alil": AlilTraining,
}


def read(path: Path, made: Made = NOTHING) -> Params:
    """The parameters in a file, `NOTEBOOK.yaml` or `NOTEBOOK-VARIANT.yaml`; `made` is what
    other files of the batch make (`Params.makes`).

    Raises:
        InputError: no such notebook, not YAML, or a wrong parameter; the message names the file.
    """
    notebook = path.stem.split("-")[0]
    if notebook not in NOTEBOOKS:
        raise InputError(f"{path}: {unknown('notebook', notebook, NOTEBOOKS)}")
    values = _values(path)
    try:
        return NOTEBOOKS[notebook].checked(values, made)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _values(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: the file must hold lines of the form `name: value`")
    return values


def paths(folder: Path, figure: str | None = None) -> list[Path]:
    """The params files in a folder, or those that one figure of `figures.yaml` takes.

    Raises:
        InputError: no params files, no such figure, or one that this profile does not draw.
    """
    found = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    if not found:
        profiles = sorted(path.name for path in folder.parent.glob("*/"))
        raise InputError(f"no params files in {folder}; profiles are {', '.join(profiles)}")
    if figure is None:
        return list(found.values())
    table = yaml.safe_load((project() / "figures.yaml").read_text())
    profile = {stem: _values(path) for stem, path in found.items()}
    return [found[stem] for stem in needed(stem_of(figure, table, found), profile)]


def main(arguments: list[str]) -> int:
    """Check the params files in a folder, or those for a figure, named second; 0 if all are good.

    A file may need what a later one makes: Snakemake, too, runs them in the order of their needs.
    """
    if len(arguments) not in (1, 2):
        print("usage: python -m ialelib.runner.check FOLDER [FIGURE]", file=sys.stderr)
        return 2
    try:
        waiting = paths(Path(arguments[0]), *arguments[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    made: dict[str, Policy | None] = {}
    makers: dict[str, Path] = {}
    while waiting:
        failed: dict[Path, InputError] = {}
        for path in waiting:
            try:
                params = read(path, made)
                new = params.makes(path.stem.split("-")[0])
                if twice := new & made.keys():
                    name = min(twice)
                    raise InputError(f"{path} and {makers[name]} would both write {name}")
                made |= {**dict.fromkeys(new), **params.untrained()}
                makers |= dict.fromkeys(new, path)
            except InputError as error:
                failed[path] = error
        if len(failed) == len(waiting):
            print(*(f"error: {error}" for error in failed.values()), sep="\n", file=sys.stderr)
            return 2
        waiting = list(failed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
