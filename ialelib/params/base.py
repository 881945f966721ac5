"""The base of all notebooks' parameters: where they come from, what a run reads and writes."""

import hashlib
from dataclasses import fields
from itertools import chain
from pathlib import Path
from symtable import symtable
from typing import Any, ClassVar, Self, get_args

from ialelib.params.types import NOTHING, Folder, Made, NewPolicyName, PolicyName, Seed, TablePath
from ialelib.policy import Policy
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.extras import extra
from ialelib.utils.files import expanded, is_checkout, project
from ialelib.utils.progress import watched
from ialelib.utils.workers import temporary_folder

with extra("notebooks"):
    from pydantic import BaseModel, ConfigDict, ValidationError

HEADING = "# Parameters"
"""How a notebook's cell of parameters starts; papermill's cell has nothing else on that line."""
INTERACTIVE = "interactive"
"""In figures/ and runs/, the folder of notebooks that a person runs with their own parameters."""
HIGHEST, HIGHEST_SEED, MANY, DEEPEST = 1_000_000, 2**32 - 1, 1000, 3
"""Bounds of any parameter, far beyond what can be run: numbers, entries, lists in lists."""


def code(library: Path = Path(__file__).parents[1]) -> str:
    """Ten digits that change with any edit of the library."""
    digest = hashlib.sha256()
    for path in sorted(library.rglob("*.py")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:10]


class Params(BaseModel):
    """Base of all notebooks' parameters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    notebook: ClassVar[str]
    tables: ClassVar[tuple[str, ...]]
    pictures: ClassVar[tuple[str, ...]]

    runs: Folder | None
    """Folder of resumable runs, relative to the project; none means a temporary one.

    `{code}` in it stands for a digest of this library: after an edit nothing is read back.
    """
    figures: Folder
    """Folder for figures and their tables, relative to the project."""

    def __init_subclass__(
        cls,
        notebook: str | None = None,
        tables: tuple[str, ...] = ("curves",),
        pictures: tuple[str, ...] = (),
    ) -> None:
        """Declare a class of a notebook, and every table and figure that the notebook leaves.

        The table "curves" is FIGURES/NOTEBOOK_curves.csv; figures are saved as SVG and as PNG.
        """
        if notebook:
            cls.notebook, cls.tables, cls.pictures = notebook, tables, pictures

    @classmethod
    def of(cls, namespace: dict[str, Any]) -> Self:
        """The parameters of the notebook that calls `Params.of(globals())`.

        They are the variables that its cell of parameters assigns, and papermill's after it; what
        other cells or start-up files define is none of it.

        Raises:
            InputError: a variable that is no parameter, or a missing, wrong or unfit value; no
                checkout of the project, where results go.
        """
        if not is_checkout(top := project()):
            raise InputError(
                f"neither {top} nor the installed library lies in a checkout of the project, where "
                "results go: run the notebook in its own folder, as papermill does with --cwd"
            )
        run = namespace.get("In", ())
        cells = [cell for cell in run if cell.startswith(HEADING)]
        if run and not any(run):  # nbval runs cells without keeping them
            return cls.checked({k: namespace[k] for k in cls.model_fields if k in namespace})
        if not cells:
            raise InputError(
                f"no cell that starts with {HEADING!r} has been run; run the notebook's first, "
                f"or, in a script, call {cls.__name__}.checked with a dictionary"
            )
        latest = {cell.partition("\n")[0].strip() == HEADING: cell for cell in cells}
        tables = [symtable(cell, "parameters", "exec") for cell in latest.values()]
        assigned = {s.get_name() for t in tables for s in t.get_symbols() if s.is_assigned()}
        return cls.checked({name: namespace[name] for name in sorted(assigned & {*namespace})})

    @classmethod
    def checked(cls, values: dict[str, Any], made: Made = NOTHING) -> Self:
        """Validate values by name; `made` is what other runs of the same batch make (`makes`)."""
        for name in values:
            if name not in cls.model_fields:
                raise unknown("parameter", name, cls.model_fields)
        for name, value in values.items():
            seeds = _has(cls.model_fields[name].rebuild_annotation(), Seed)
            if fault := _excess(value, HIGHEST_SEED if seeds else HIGHEST):
                raise InputError(f"parameter {name!r}: {fault}")
        try:
            params = cls.model_validate(values, context=made)
        except ValidationError as error:
            raise InputError("; ".join(_sentence(e) for e in error.errors())) from None
        params.check(made)
        return params

    def check(self, made: Made = NOTHING) -> None:
        """Raises InputError for values that contradict each other."""

    def untrained(self) -> dict[str, Policy]:
        """The policies that it makes, before they are trained: whether they fit can be checked."""
        return {}

    def named(self, kind: type[Any]) -> dict[str, Any]:
        """The parameters that have the names of a dataclass's fields."""
        return self.model_dump(include={field.name for field in fields(kind)})

    def makes(self) -> set[str]:
        """What a run gives to others of its batch: names of policies, paths of tables."""
        tables = {f"{self.figures}/{self.notebook}_{name}.csv" for name in self.tables}
        return tables | self._named(NewPolicyName)

    def needs(self) -> set[str]:
        """What a run reads: names of policies, paths of tables."""
        return self._named(PolicyName) | self._named(TablePath)

    def outputs(self) -> list[str]:
        """Every file that a run leaves for good, relative to the project."""
        files = [f"{self.figures}/{self.notebook}_{name}" for name in self._files()]
        saved = sorted(self._named(NewPolicyName))
        return files + [f"policies/{name}.{end}" for name in saved for end in ("safetensors", "md")]

    def path(self, name: str) -> Path:
        """Where one of the declared files goes, such as "curves.csv"; its folder is created."""
        if name not in self._files():
            raise unknown(f"output of {self.notebook}", name, self._files())
        folder = _top(self.figures) / expanded(self.figures)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.notebook}_{name}"

    def runs_folder(self) -> Path:
        """Where this notebook keeps what it can resume."""
        if self.runs is None:
            return temporary_folder() / self.notebook
        return _top(self.runs) / expanded(self.runs.replace("{code}", code())) / self.notebook

    def _files(self) -> list[str]:
        drawn = [f"{name}.{end}" for name in self.pictures for end in ("svg", "png")]
        return [f"{name}.csv" for name in self.tables] + drawn

    def _named(self, kind: object) -> set[str]:
        """Values of all fields of a type of names, alone or in lists."""
        fields = type(self).model_fields.items()
        values = [getattr(self, k, None) for k, f in fields if _has(f.rebuild_annotation(), kind)]
        parts = chain.from_iterable(v if isinstance(v, list) else [v] for v in values if v)
        return set(map(str, parts))


def _top(folder: str) -> Path:
    """Where a relative folder starts: in the project, but for those of notebooks run by hand.

    Where a program executes a notebook as it stands, nothing of an earlier run is read back, and
    nothing is left.
    """
    by_hand = Path(folder).parts[1:2] == (INTERACTIVE,)
    return temporary_folder() if by_hand and not watched() else project()


def _has(annotation: object, kind: object) -> bool:
    return annotation == kind or any(_has(part, kind) for part in get_args(annotation))


def _excess(value: Any, highest: int, depth: int = 0) -> str:
    """In which way a value goes beyond what any parameter may be, if it does."""
    if isinstance(value, int | float) and not abs(value) <= highest:  # NaN, too
        return f"numbers are finite, and go up to {highest:,}"
    if isinstance(value, str) and len(value) > MANY:
        return f"texts have up to {MANY:,} characters"
    if isinstance(value, list):
        if depth == DEEPEST or len(value) > MANY:
            return f"lists have up to {MANY:,} entries, in lists up to {DEEPEST} deep"
        return next(filter(None, (_excess(each, highest, depth + 1) for each in value)), "")
    return ""


def _sentence(error: Any) -> str:
    place, value = error["loc"], error.get("input")
    if error["type"] == "value_error":
        return f"parameter {place[0]!r}: {error['ctx']['error']}"
    # A union's location ends in the names of its members, which mean nothing to a reader.
    name = ".".join(str(part) for i, part in enumerate(place) if i == 0 or isinstance(part, int))
    if error["type"] == "missing":
        return f"parameter {name!r} is missing"
    text = isinstance(value, str) and _is_number(value)
    hint = " (YAML reads 1e-4 as text; write 1.0e-4)" if text else ""
    return f"parameter {name!r}: {error['msg']}, not {value!r}{hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
