"""Files of parameters: which notebook each is for, and whether a batch of them can run.

`python -m ialelib.batch FOLDER` checks every YAML file in a folder before a batch starts.
"""

import sys
from collections.abc import Collection
from pathlib import Path

import yaml

from ialelib.errors import InputError, unknown
from ialelib.params import Overlap, PolicyTraining, ToyGaussians, TransferDatasets
from ialelib.params_own import OwnPool
from ialelib.params_studies import AlilTraining, Compared, RunTime, Sizes, Statistics, TrainingCost
from ialelib.strict import Params

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


def read(path: Path, made: Collection[str] = ()) -> Params:
    """The parameters in a file, `NOTEBOOK.yaml` or `NOTEBOOK-VARIANT.yaml`; `made` is what
    other files of the batch make (`Params.makes`).

    Raises:
        InputError: no such notebook, not YAML, or a wrong parameter; the message names the file.
    """
    try:
        notebook = path.stem.split("-")[0]
        if notebook not in NOTEBOOKS:
            raise unknown("notebook", notebook, NOTEBOOKS)
        values = yaml.safe_load(path.read_text())
        if not isinstance(values, dict):
            raise InputError("the file must hold lines of the form `name: value`")
        return NOTEBOOKS[notebook].checked(values, made)
    except (InputError, OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from None


def main(arguments: list[str]) -> int:
    """Check the YAML files in the folders given; 0 if all are good.

    A file may need what a later one makes: Snakemake, too, runs them in the order of their needs.
    """
    waiting = [path for folder in arguments for path in sorted(Path(folder).glob("*.yaml"))]
    if not waiting:
        print(f"no params files in {', '.join(arguments) or 'nothing'}", file=sys.stderr)
        return 2
    made: set[str] = set()
    while waiting:
        failed: dict[Path, InputError] = {}
        for path in waiting:
            try:
                made |= read(path, made).makes(path.stem.split("-")[0])
            except InputError as error:
                failed[path] = error
        if len(failed) == len(waiting):
            print(*(f"error: {error}" for error in failed.values()), sep="\n", file=sys.stderr)
            return 2
        waiting = list(failed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
