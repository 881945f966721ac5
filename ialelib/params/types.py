"""Types of parameters: what a name, a seed or a list must be, and how a wrong one is refused."""

import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Annotated, TypeVar

from ialelib import data
from ialelib.experts import EXPERTS
from ialelib.inference.adapt import NARROWEST, RULES, WIDEST
from ialelib.models import CLASSIFIERS
from ialelib.oracle import ORACLE
from ialelib.policy import GENERALIST, AnyPolicy, load_policy
from ialelib.recipes import RECIPES
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.extras import extra
from ialelib.utils.files import expanded, project

with extra("notebooks"):
    from pydantic import AfterValidator, ValidationInfo

T = TypeVar("T")
Made = Mapping[str, AnyPolicy | None]
"""What other runs of a batch make: tables, and policies, as they will be but untrained."""
NOTHING: Made = MappingProxyType({})
LONGEST = 100
"""Bytes in a name that ends others: file systems take 255."""


def _must(hold: Callable[[T], object], otherwise: str) -> AfterValidator:
    """Refuse a value for which `hold` is false; `otherwise` is the sentence, with its place."""

    def check(value: T) -> T:
        if not hold(value):
            raise InputError(otherwise.format(value))
        return value

    return AfterValidator(check)


def _among(kind: str, accepted: Callable[[], Collection[str]]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in accepted():
            raise unknown(kind, name, accepted())
        return name

    return AfterValidator(check)


def _distinct(items: list[T]) -> bool:
    return len({repr(item) for item in items}) == len(items)


def _fits_in_a_name(path: str) -> bool:
    return all(len(part.encode()) <= LONGEST for part in path.split("/"))


def known(name: str, made: Made) -> AnyPolicy | None:
    """The policy of that name; None for one that the batch makes and that cannot be told yet."""
    return made[name] if name in made else load_policy(name)


def _trained(name: str, info: ValidationInfo) -> str:
    known(name, info.context or NOTHING)
    return name


def _table(name: str, info: ValidationInfo) -> str:
    path = project() / expanded(name)
    if name not in (info.context or NOTHING) and not path.is_file():
        raise InputError(f"no table {path}; run the notebook that makes it first")
    return name


Distinct = Annotated[list[T], _must(_distinct, "the list names something twice: {}")]
Several = Annotated[Distinct[T], _must(bool, "the list must not be empty")]
PositiveInt = Annotated[int, _must(lambda number: number >= 1, "1 or more, not {}")]
NaturalInt = Annotated[int, _must(lambda number: number >= 0, "0 or more, not {}")]
PositiveFloat = Annotated[float, _must(lambda number: number > 0, "more than 0, not {}")]
Processes = Annotated[int, _must(lambda number: 1 <= number <= 1024, "1 to 1,024, not {}")]
Seed = Annotated[int, _must(lambda seed: seed >= 0, "seeds are 0 or more, not {}")]
Seeds = Several[Seed]
Widths = Annotated[
    Several[int],
    _must(
        lambda widths: all(NARROWEST <= width <= WIDEST for width in widths),
        f"widths must be {NARROWEST} to {WIDEST}, not {{}}",
    ),
]
ClassifierName = Annotated[str, _among("classifier", lambda: CLASSIFIERS)]
DataSetName = Annotated[str, _among("data set", data.available)]
ExpertName = Annotated[str, _among("expert", lambda: EXPERTS)]
RecipeName = Annotated[str, _among("recipe", lambda: RECIPES)]
RuleName = Annotated[str, _among("rule", lambda: RULES)]
BaselineName = Annotated[str, _among("strategy", lambda: [*EXPERTS, GENERALIST, ORACLE])]
StrategyName = Annotated[str, _among("strategy", lambda: [*EXPERTS, GENERALIST, ORACLE, "policy"])]
PolicyName = Annotated[str, AfterValidator(_trained)]
"""A policy that is shipped, lies in a file, or that another run of the batch makes."""
TablePath = Annotated[str, AfterValidator(_table)]
"""A table, relative to the project, that is there or that another run of the batch makes."""
NewPolicyName = Annotated[
    str,
    _must(re.compile(r"[\w-]+").fullmatch, "letters, digits, - and _ make a name, not {!r}"),
    _must(_fits_in_a_name, f"a name has up to {LONGEST} bytes"),
]
"""A policy that this notebook saves."""
Folder = Annotated[
    str,
    _must(
        re.compile(r"([\w. /~-]|\{code\})+").fullmatch,
        "letters, digits, spaces and . _ - / make a folder, not {!r}",
    ),
    _must(_fits_in_a_name, f"each part of it has up to {LONGEST} bytes"),
]
"""Relative to the project."""
