"""The params files of a profile: the notebook of each, what draws a figure, whether all can run.

`python -m ialelib.runner.check FOLDER [FIGURE]` checks a folder's YAML files before a batch starts.
"""

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from ialelib.utils.extras import extra

with extra("batch"):
    import yaml

from ialelib.params import beyond, comparing, learning, own
from ialelib.params.base import Params
from ialelib.params.types import NOTHING, Made
from ialelib.policy import Policy
from ialelib.runner import executed
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.files import expanded, project, set_aside

NOTEBOOKS: dict[str, type[Params]] = {
    each.notebook: each
    for room in (learning, comparing, own, beyond)
    for each in vars(room).values()
    if isinstance(each, type) and issubclass(each, Params) and "notebook" in vars(each)
}


NESTED = 10
INTEGER = "tag:yaml.org,2002:int"
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)")
STEM = re.compile(r"[\w.-]+")


class Loader(yaml.SafeLoader):
    """YAML without what is a mistake in these files, or makes little text a lot of work."""

    depth = 0

    @override
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        line = f"line {self.line + 1}"
        if self.check_event(yaml.AliasEvent):
            raise InputError(f"{line}: write the value in place of its alias")
        if self.depth == NESTED:
            raise InputError(f"{line}: values in values, more than {NESTED} deep")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        text = getattr(node, "value", "")
        if getattr(node, "tag", "") == INTEGER and not DECIMAL.fullmatch(text):
            raise InputError(f"{line}: YAML reads {text} as another number; write it in decimals")
        if isinstance(node, yaml.MappingNode):
            names = [name.value for name, _ in node.value]
            if not all(isinstance(name, str) for name in names):
                raise InputError(f"{line}: a name stands before a colon, not a list of values")
            if "<<" in names:
                raise InputError(f"{line}: write the lines themselves in place of <<")
            if twice := [name for place, name in enumerate(names) if name in names[:place]]:
                raise InputError(f"{twice[0]!r} stands there twice; leave one")
        return node


def load(path: Path) -> dict[str, Any]:
    """What a YAML file of lines `name: value` says.

    Raises:
        InputError: anything else, in one line that names the file.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader)
        if not isinstance(values, dict):
            raise InputError("the file must hold lines of the form `name: value`")
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None
    return values


def figures() -> dict[str, list[str]]:
    """Which params files draw which figure of the paper, from figures.yaml of the project.

    Raises:
        InputError: that file cannot be read, or holds something else.
    """
    return _stems(_figures())


def _stems(table: Mapping[str, Mapping[str, list[str]]]) -> dict[str, list[str]]:
    return {figure: stems for figure, drawn in table.items() for stems in drawn.values()}


def _figures() -> dict[str, dict[str, list[str]]]:
    path = project() / "figures.yaml"
    table = load(path)
    for drawn in table.values():
        stems = [*drawn.values()] if isinstance(drawn, dict) else []
        if len(stems) != 1 or not (isinstance(stems[0], list) and stems[0]):
            form = "`figure: {picture: [params file, ...]}`"
            raise InputError(f"{path} must hold lines of the form {form}")
    return table


def drawable(stems: Collection[str]) -> list[str]:
    """The figures of the paper that some of these params files draw."""
    return [figure for figure, drawers in figures().items() if {*drawers} & {*stems}]


def picture(figure: str, profile: Mapping[str, Params]) -> str:
    """The file that shows a figure of the paper, relative to the project.

    Raises:
        InputError: as of `drawing`.
    """
    table = _figures()
    params = profile[drawing(figure, profile, _stems(table))]
    (name,) = table[_listed(figure, table)]
    return f"{params.figures}/{params.notebook}_{name}.png"


def read(path: Path, made: Made = NOTHING) -> Params:
    """The parameters in a file, `NOTEBOOK.yaml` or `NOTEBOOK-VARIANT.yaml`; `made` is what
    other files of the batch make (`Params.makes`).

    Raises:
        InputError: no such notebook, not YAML, or a wrong parameter; the message names the file.
    """

    def checked(kind: type[Params], values: dict[str, Any]) -> Params:
        params = kind.checked(values, made)
        for name in filter(None, (params.figures, params.runs)):
            _can_be_written(name)
        return params

    return _parsed(path, checked)


def _can_be_written(name: str) -> None:
    """Raises InputError unless a folder lies in the project, as it is spelt, and takes files."""
    top = project()
    folder = Path(os.path.normpath(top / expanded(name)))
    hidden = top in folder.parents and folder.relative_to(top).parts[0].startswith(".")
    if top not in folder.parents or hidden:
        raise InputError(
            f"{name!r} is no folder inside of the project; name one that is, or a link in it"
        )
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise InputError(f"no files can be written to {there}; make it a folder that takes them")


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
    if wrong := [path for path in found if not STEM.fullmatch(path.stem)]:
        raise InputError(
            f"{str(wrong[0])!r}: letters, digits and . _ - make the name of a params file; "
            "give it another"
        )
    if not found:
        profiles = sorted(path.name for path in folder.parent.glob("*/"))
        raise InputError(f"no params files in {folder}; profiles are {', '.join(profiles)}")
    return found


def _parsed(path: Path, make: Callable[[type[Params], dict[str, Any]], Params]) -> Params:
    notebook = path.stem.split("-")[0]
    if notebook not in NOTEBOOKS:
        raise InputError(f"{path}: {unknown('notebook', notebook, NOTEBOOKS)}")
    values = load(path)
    try:
        return make(NOTEBOOKS[notebook], values)
    except InputError as error:
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

    Raises:
        InputError: no such figure, or a profile without the params file for it.
    """
    name = _listed(figure, table)
    for candidate in table[name]:
        if candidate in stems:
            return candidate
    raise InputError(
        f"{figure} comes from {' or '.join(table[name])}.yaml, which this profile does not have; "
        f"it has {', '.join(sorted(stems))}"
    )


def _listed(figure: str, table: Collection[str]) -> str:
    """The name of a figure in the table, where fig12g, say, may stand as part of fig12."""
    for name in (figure, figure.rstrip("abcdefghi")):
        if name in table:
            return name
    raise unknown("figure", figure, table)


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
    Damaged notebooks of an earlier batch are set aside.
    """
    if len(arguments) not in (1, 2):
        print("usage: python -m ialelib.runner.check FOLDER [FIGURE]", file=sys.stderr)
        return 2
    folder, *named = arguments
    try:
        for name in ("runs", "policies"):
            _can_be_written(name)
        waiting = _paths(Path(folder))
        for figure in named:
            profile = batch(Path(folder))
            drawn = needed(drawing(figure, profile, figures()), profile)
            waiting = [path for path in waiting if path.stem in drawn]
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    stems = [path.stem for path in waiting]
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
    _set_damaged_aside(Path(folder), stems)
    return 0


def _set_damaged_aside(folder: Path, stems: Collection[str]) -> None:
    """Executed notebooks of a profile that are not as they were written: they are made again."""
    runs = folder.parent.parent / "runs" / folder.name
    for path in (runs / f"{stem}.ipynb" for stem in stems):
        if path.exists() and not executed.whole(path):
            print(f"warning: {set_aside(path)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
