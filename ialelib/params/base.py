"""The base of all notebooks' parameters: strict about names and types."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ialelib.policy import Policy
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import project

if TYPE_CHECKING:
    from ialelib.policy import Policy

Made = Mapping[str, "Policy | None"]
"""What other runs of a batch make: tables, and policies, as they will be but untrained."""
NOTHING: Made = MappingProxyType({})
SIMPLE = (bool, int, float, str, list, tuple, dict, type(None))
IPYTHON = {"In", "Out"}
MAY_BE_EMPTY = {"strategies", "baseline_sizes", "baseline_seeds", "few_seeds"}


def code(library: Path = Path(__file__).parents[1]) -> str:
    """Ten digits that change with any edit of the library."""
    digest = hashlib.sha256()
    for path in sorted(library.rglob("*.py")):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:10]


class Params(BaseModel):
    """Base of all notebooks' parameters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    runs: str | None
    """Folder of resumable runs, relative to the project; none means a new temporary one.

    `{code}` in it stands for a digest of this library: after an edit nothing is read back.
    """
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
    def checked(cls, values: dict[str, Any], made: Made = NOTHING) -> Self:
        """Validate values by name; `made` is what the same batch makes before (`makes`)."""
        for name in values:
            if name not in cls.model_fields:
                raise unknown("parameter", name, cls.model_fields)
        try:
            params = cls(**values)
        except ValidationError as error:
            raise InputError("; ".join(_sentence(e) for e in error.errors())) from None
        params.check(made)
        params._check_numbers()
        return params

    def _check_numbers(self) -> None:
        """What seeds, lists, processes and names of new policies must be in every notebook."""
        for name, value in self:
            if isinstance(value, list) and not value and name not in MAY_BE_EMPTY:
                raise InputError(f"parameter {name!r}: the list must not be empty")
            if isinstance(value, list) and len({repr(item) for item in value}) < len(value):
                raise InputError(f"parameter {name!r}: the list names something twice: {value}")
            if name.endswith("seeds") and min(value, default=0) < 0:
                raise InputError(f"parameter {name!r}: seeds are 0 or more, not {min(value)}")
            if name == "processes" and value < 1:
                raise InputError(f"parameter 'processes': 1 or more, not {value}")
            if name == "save_policy" and value and not re.fullmatch(r"[\w-]+", value):
                raise InputError(
                    f"parameter 'save_policy': letters, digits, - and _ make a name, not {value!r}"
                )

    def check(self, made: Made = NOTHING) -> None:
        """Raises InputError for values that name nothing or contradict each other."""

    def makes(self, notebook: str) -> set[str]:
        """What a run gives to others of its batch: names of policies, paths of tables."""
        return set()

    def untrained(self) -> "dict[str, Policy]":
        """The policies that it makes, before they are trained: whether they fit can be checked."""
        return {}

    def runs_folder(self, name: str) -> Path:
        """Where this notebook keeps what it can resume."""
        if self.runs is None:
            return Path(tempfile.mkdtemp(prefix="ialelib-")) / name
        return project() / self.runs.replace("{code}", code()) / name

    def figures_folder(self) -> Path:
        """Where this notebook puts its figures; created if missing."""
        folder = project() / self.figures
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@contextmanager
def about(name: str) -> Iterator[None]:
    """Name the parameter in any InputError of the block."""
    try:
        yield
    except InputError as error:
        raise InputError(f"parameter {name!r}: {error}") from None


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
