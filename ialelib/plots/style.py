"""Every figure, with one colour per strategy throughout; safe for colour-blind readers."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from ialelib.utils.errors import InputError
from ialelib.utils.files import atomic

Look = tuple[Any, Any]
"""Colour and dashes of a line."""

LOOKS: dict[str, tuple[str, str, Any]] = {
    "policy": ("IALE policy", "#D55E00", ""),
    "generalist": ("Generalist", "#08306B", ""),
    "random": ("Random", "#000000", (4, 2)),
    "entropy": ("Entropy", "#E69F00", (1, 1)),
    "confidence": ("Confidence", "#A89F00", (3, 1, 1, 1)),
    "mc_dropout": ("MC-Dropout", "#0072B2", (5, 1)),
    "ensemble": ("Ensemble", "#56B4E9", (5, 1, 1, 1)),
    "coreset": ("CoreSet", "#009E73", (2, 1)),
    "badge": ("BADGE", "#CC79A7", (1, 1, 3, 1)),
    "margin": ("Margin", "#8C6D31", (2, 2)),
    "typiclust": ("TypiClust", "#B2182B", (4, 1, 1, 1)),
    "coverage": ("Coverage", "#1B7837", (7, 1)),
    "uherding": ("UHerding", "#5E4FA2", (7, 1, 1, 1)),
    "dropquery": ("DropQuery", "#35978F", (3, 2)),
    "bait": ("BAIT", "#BF5B17", (2, 1, 1, 1)),
    "alil": ("ALIL", "#7F7F7F", (6, 2, 1, 2)),
    "oracle": ("Oracle", "#A6A6A6", ""),
}
"""Each strategy's name in figures, colour and dashes. The paper's have the colours of Okabe & Ito
(2008), the yellow darkened for white paper; the oracle, which is no strategy to use, is grey."""
NAMES = {strategy: name for strategy, (name, _, _) in LOOKS.items()}
COLOURS = {strategy: colour for strategy, (_, colour, _) in LOOKS.items()}
DASHES = {strategy: dashes for strategy, (_, _, dashes) in LOOKS.items()}
# Further policies, in the order in which they are named; the first has the policy's own colour.
POLICY_COLOURS = (COLOURS["policy"], "#882255", "#332288", "#44AA99", "#AA4499", "#999933")
POLICY_DASHES = ("", (4, 1), (2, 1), (6, 1, 1, 1), (3, 1, 1, 1), (1, 1))

sns.set_theme(context="notebook", style="ticks", rc={"figure.dpi": 90, "legend.frameon": False})
mpl.rcParams["svg.hashsalt"] = "ialelib"


class Settings(Protocol):
    """What knows where a notebook's figures are kept, as `params.base.Params` does."""

    def path(self, name: str) -> Path:
        """The file of that name, its folder made."""


def save(figure: Figure, settings: Settings, name: str) -> None:
    """Write a figure as NOTEBOOK_NAME.svg and .png, the same bytes for the same figure."""
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        with atomic(settings.path(f"{name}.{suffix}")) as temporary:
            figure.savefig(temporary, metadata=metadata, bbox_inches="tight", dpi=150)


def shown(name: object) -> str:
    """A strategy's name in figures; other names stay as they are."""
    return NAMES.get(str(name), str(name))


def styles(names: Iterable[str]) -> dict[str, Look]:
    """Colour and dashes of each strategy, in the order of legends.

    Known strategies look the same in every figure. Others are policies or functions of one's own,
    and take `POLICY_COLOURS` in their order, beside "policy" from the second on.

    Raises:
        InputError: more of them than colours that can be told apart.
    """
    given = list(names)
    others = [name for name in given if name not in COLOURS]
    free = list(zip(POLICY_COLOURS, POLICY_DASHES, strict=True))["policy" in given :]
    if len(others) > len(free):
        raise InputError(f"a figure shows up to {len(free)} policies, not {len(others)}")
    looks: dict[str, Look] = dict(zip(others, free, strict=False))
    return looks | {name: (COLOURS[name], DASHES[name]) for name in COLOURS if name in given}
