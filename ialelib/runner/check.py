"""The params files of a profile: the notebook of each, what draws a figure, whether all can run.

`python -m ialelib.runner.check FOLDER [FIGURE]` checks a folder's YAML files before a batch starts.
"""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ialelib.params import beyond, notebooks
from ialelib.params.base import Params
from ialelib.params.types import NOTHING, Made
from ialelib.policy import Policy
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import project

NOTEBOOKS: dict[str, type[Params]] = {
    each.notebook: each
    for each in [*vars(notebooks).values(), *vars(beyond).values()]
    if isinstance(each, type) and issubclass(each, Params) and "notebook" in vars(each)
}


def read(path: Path, made: Made = NOTHING) -> Params:
    """The parameters in a file, `NOTEBOOK.yaml` or `NOTEBOOK-VARIANT.yaml`; `made` is what
    other files of the batch make (`Params.makes`).

    Raises:
        InputError: no such notebook, not YAML, or a wrong parameter; the message names the file.
    """
    return _parsed(path, lambda kind, values: kind.checked(values, made))


def batch(folder: Path) -> dict[str, Params]:
    """A profile's parameters by the stems of their files, as they stand there, not checked.

    Raises:
        InputError: no params files, one for no notebook, or one that is not YAML.
    """

    def unchecked(kind: type[Params], values: dict[str, Any]) -> Params:
        # A file that names no folder for its figures is refused when it is checked.
        return kind.model_construct(**{"figures": "figures", **values})

    return {path.stem: _parsed(path, unchecked) for path in _paths(folder)}


def _paths(folder: Path) -> list[Path]:
    found = sorted(folder.glob("[!.]*.yaml"))
    if not found:
        profiles = sorted(path.name for path in folder.parent.glob("*/"))
        raise InputError(f"no params files in {folder}; profiles are {', '.join(profiles)}")
    return found


def _parsed(path: Path, make: Callable[[type[Params], dict[str, Any]], Params]) -> Params:
    notebook = path.stem.split("-")[0]
    try:
        if notebook not in NOTEBOOKS:
            raise unknown("notebook", notebook, NOTEBOOKS)
        values = yaml.safe_load(path.read_text())
        if not isinstance(values, dict):
            raise InputError("the file must hold lines of the form `name: value`")
        return make(NOTEBOOKS[notebook], values)
    except (InputError, OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from None


def makers(stem: str, profile: Mapping[str, Params]) -> list[str]:
    """The params files, by stem, that make what one of them needs."""
    needs = profile[stem].needs()
    return [other for other, params in profile.items() if params.makes() & needs]


def needed(stem: str, profile: Mapping[str, Params]) -> list[str]:
    """A params file and all that it needs, and they need in turn, in the profile's order."""
    found, new = set[str](), {stem}
    while new:
        found |= new
        new = {maker for name in new for maker in makers(name, profile)} - found
    return [name for name in profile if name in found]


def drawing(figure: str, stems: Collection[str], table: Mapping[str, Sequence[str]]) -> str:
    """The params file, by stem, that draws a figure: the first in `table` that a profile has.

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


def summary(values: Mapping[str, Any]) -> str:
    """What a params file runs on, in words: a profile may draw a figure from other data."""
    data = values.get("datasets") or [values[name] for name in ("dataset",) if name in values]
    parts = [", ".join(data), values.get("classifier", "")]
    parts += [f"{values['budget']} labels"] if "budget" in values else []
    parts += [f"{len(values['seeds'])} seeds"] if "seeds" in values else []
    return "; ".join(part for part in parts if part)


def main(arguments: list[str]) -> int:
    """Check the params files in a folder, or those for a figure, named second; 0 if all are good.

    A file may need what a later one makes: Snakemake, too, runs them in the order of their needs.
    """
    if len(arguments) not in (1, 2):
        print("usage: python -m ialelib.runner.check FOLDER [FIGURE]", file=sys.stderr)
        return 2
    folder, *figures = arguments
    try:
        waiting = _paths(Path(folder))
        for figure in figures:
            table = yaml.safe_load((project() / "figures.yaml").read_text())
            profile = batch(Path(folder))
            drawn = needed(drawing(figure, profile, table), profile)
            waiting = [path for path in waiting if path.stem in drawn]
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
                new = params.makes() | {*params.outputs()}
                if twice := new & makers.keys():
                    name = min(twice)
                    raise InputError(f"{path} and {makers[name]} would both write {name}")
                made |= {**dict.fromkeys(params.makes()), **params.untrained()}
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
