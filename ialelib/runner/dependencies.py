"""What each params file of a profile needs and makes, and which of them draws a figure."""

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ialelib.utils.errors import InputError, unknown


def wanted(values: Mapping[str, Any]) -> set[str]:
    """Names of policies and paths of tables that a params file asks for."""
    lists = [values.get(name) or [] for name in ("policies", "compared", "curves")]
    single = [[values[name]] for name in ("policy", "alil") if values.get(name)]
    return set(chain.from_iterable(lists + single))


def made(stem: str, values: Mapping[str, Any]) -> set[str]:
    """Names of policies and paths of tables that it makes, as `strict.Params.makes` has them."""
    table = f"{values.get('figures')}/{stem.split('-')[0]}_curves.csv"
    saved = values.get("save_policy")
    return {table, saved} if saved else {table}


def makers(stem: str, profile: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The params files, by stem, that make what one of them needs; `profile` has their values."""
    wants = wanted(profile[stem])
    return [other for other, values in profile.items() if made(other, values) & wants]


def needed(stem: str, profile: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A params file and all that it needs, and they need in turn, in the profile's order."""
    found, new = set[str](), {stem}
    while new:
        found |= new
        new = {maker for name in new for maker in makers(name, profile)} - found
    return [name for name in profile if name in found]


def stem(figure: str, table: Mapping[str, Sequence[str]], stems: Collection[str]) -> str:
    """The params file, without its ending, that draws a figure in a profile with these `stems`.

    A panel of a figure that stands in the table as a whole, such as fig12a, is drawn with it.

    Raises:
        InputError: no such figure, or a profile without the params file for it.
    """
    name = figure if figure in table else figure.rstrip("abcdefghi")
    if name not in table:
        raise unknown("figure", figure, table)
    for candidate in table[name]:
        if candidate in stems:
            return candidate
    raise InputError(
        f"{figure} comes from {' or '.join(table[name])}.yaml, which this profile does not have; "
        f"it has {', '.join(sorted(stems))}"
    )


def settings(values: Mapping[str, Any]) -> str:
    """What a params file runs on, in words: a profile may draw a figure from other data."""
    data = values.get("datasets") or [values[name] for name in ("dataset",) if name in values]
    parts = [", ".join(data), values.get("classifier", "")]
    parts += [f"{values['budget']} labels"] if "budget" in values else []
    parts += [f"{len(values['seeds'])} seeds"] if "seeds" in values else []
    return "; ".join(part for part in parts if part)


def forget_incomplete(executed: Path) -> None:
    """Delete an executed notebook some of whose figures were deleted; a batch draws them again.

    Its finished cycles are read back, where its parameters name a folder for them.
    """
    if executed.exists():
        figures = json.loads(executed.read_text())["metadata"].get("figures", [])
        if not all(Path(name).exists() for name in figures):
            executed.unlink()
