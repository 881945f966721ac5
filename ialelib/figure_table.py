"""Which params file draws a figure (`figures.yaml`), from what, and whether it was lost since."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ialelib.errors import InputError, unknown


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
