"""Typed, strict parameters of every notebook: a misspelt or ill-typed one stops the run at once.

`python -m ialelib.params FOLDER` checks every YAML file in a folder before a batch starts.
"""

import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import override

from ialelib import data, policy
from ialelib.cycle import Setting
from ialelib.dagger import Imitation
from ialelib.errors import InputError, unknown
from ialelib.experts import EXPERTS

SIMPLE = (bool, int, float, str, list, tuple, dict, type(None))
IPYTHON = {"In", "Out"}


def project() -> Path:
    """Top folder of the checkout, from any folder inside it; else the current folder."""
    here = Path.cwd()
    inside = (p for p in (here, *here.parents) if (p / "notebooks/00_index.ipynb").exists())
    return next(inside, here)


class Params(BaseModel):
    """Base of all notebooks' parameters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    runs: str | None
    """Folder of resumable runs, relative to the project; none means a new temporary one."""
    figures: str
    """Folder for figures and their tables, relative to the project."""

    @classmethod
    def of(cls, namespace: dict[str, Any]) -> Self:
        """The parameters among a notebook's variables: `Params.of(globals())`.

        Raises:
            InputError: a plain variable that is no parameter, or a value of the wrong type.
        """
        plain = {
            name: value
            for name, value in namespace.items()
            if not name.startswith("_") and name not in IPYTHON and isinstance(value, SIMPLE)
        }
        return cls.checked(plain)

    @classmethod
    def checked(cls, values: dict[str, Any], made: Collection[str] = ()) -> Self:
        """Validate values by name; `made` are policies that the same batch trains before."""
        for name in values:
            if name not in cls.model_fields:
                raise unknown("parameter", name, cls.model_fields)
        try:
            params = cls(**values)
        except ValidationError as error:
            raise InputError("; ".join(_sentence(e) for e in error.errors())) from None
        params.check(made)
        return params

    def check(self, made: Collection[str] = ()) -> None:
        """Raises InputError for values that name nothing or contradict each other."""

    def runs_folder(self, name: str) -> Path:
        """Where this notebook keeps what it can resume."""
        if self.runs is None:
            return Path(tempfile.mkdtemp(prefix="ialelib-")) / name
        return project() / self.runs / name

    def figures_folder(self) -> Path:
        """Where this notebook puts its figures; created if missing."""
        folder = project() / self.figures
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _sentence(error: Any) -> str:
    place = error["loc"]
    # A union's location ends in the names of its members, which mean nothing to a reader.
    name = ".".join(str(part) for i, part in enumerate(place) if i == 0 or isinstance(part, int))
    value = error.get("input")
    hint = ""
    if isinstance(value, str) and _is_number(value):
        hint = " (YAML reads 1e-4 as text; write 1.0e-4)"
    if error["type"] == "missing":
        return f"parameter {name!r} is missing"
    return f"parameter {name!r}: {error['msg']}, not {value!r}{hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class ToyGaussians(Params):
    """Parameters of 01_toy_gaussians."""

    overlap: float
    samples: int
    initial: int
    acq: int
    acquisitions: int
    n: int
    episodes: int
    seeds: list[int]
    processes: int

    def data(self, seed: int) -> data.DataSet:
        """The two Gaussians drawn from a seed."""
        return data.toy_gaussians(self.samples, self.samples, self.overlap, seed)

    def setting(self) -> Setting:
        """The cycle that every strategy runs."""
        budget = self.initial + self.acq * self.acquisitions
        return Setting("toy_mlp", self.initial, budget, self.acq, self.n, recipe="toy")

    def imitation(self) -> Imitation:
        """Algorithm 1 with the two experts of Fig. 1."""
        return Imitation(self.setting(), ("entropy", "coreset"), self.episodes, validation=500)

    @override
    def check(self, made: Collection[str] = ()) -> None:
        self.imitation().check(self.data(seed=1))


class Cycles(Params):
    """What notebooks that run cycles on image sets share."""

    classifier: str
    initial: int
    budget: int
    acq: int
    n: int
    recipe: str
    strategies: list[str]
    seeds: list[int]
    processes: int

    def setting(self) -> Setting:
        """The cycle that every strategy runs."""
        return Setting(self.classifier, self.initial, self.budget, self.acq, self.n, self.recipe)

    @override
    def check(self, made: Collection[str] = ()) -> None:
        for name in self.strategies:
            if name not in (*EXPERTS, "policy"):
                raise unknown("strategy", name, [*EXPERTS, "policy"])


class PolicyTraining(Cycles):
    """Parameters of 02_policy_training."""

    dataset: str
    experts: list[str]
    episodes: int
    p: float | Literal["decay"]
    validation: int
    target: Literal["best", "weighted"]
    seed: int
    save_policy: str | None

    def imitation(self) -> Imitation:
        """Algorithm 1's parameters."""
        return Imitation(
            self.setting(),
            tuple(self.experts),
            self.episodes,
            self.p,
            self.validation,
            self.target,
            seed=self.seed,
        )

    @override
    def check(self, made: Collection[str] = ()) -> None:
        super().check(made)
        _known(self.dataset)
        self.imitation().check(data.load(self.dataset))


class TransferDatasets(Cycles):
    """Parameters of 03_transfer_datasets."""

    datasets: list[str]
    policy: str

    @override
    def check(self, made: Collection[str] = ()) -> None:
        super().check(made)
        if self.policy not in made:
            policy.load(self.policy)
        for name in self.datasets:
            _known(name)
        for name in self.datasets:
            self.setting().check(data.load(name))


def _known(dataset: str) -> None:
    if dataset not in data.available():
        raise unknown("data set", dataset, data.available())


NOTEBOOKS: dict[str, type[Params]] = {
    "01_toy_gaussians": ToyGaussians,
    "02_policy_training": PolicyTraining,
    "03_transfer_datasets": TransferDatasets,
}


def read(path: Path, made: Collection[str] = ()) -> Params:
    """The parameters in a file, `NOTEBOOK.yaml` or `NOTEBOOK-VARIANT.yaml`; `made` as above.

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
    """Check the YAML files in the folders given, in order; 0 if all are good."""
    paths = [path for folder in arguments for path in sorted(Path(folder).glob("*.yaml"))]
    if not paths:
        print(f"no params files in {', '.join(arguments) or 'nothing'}", file=sys.stderr)
        return 2
    made: set[str] = set()
    for path in paths:
        try:
            found = read(path, made)
            made |= {getattr(found, "save_policy", None) or ""}
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
