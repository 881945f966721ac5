"""What the labelling widget shows: its front end, pictures and the accuracy curve."""

import base64
import io
import string
from collections.abc import Sequence
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from ialelib.utils.extras import extra

with extra("notebooks"):
    import anywidget
    import traitlets

WIDTH, HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 14, 44


def draw_curve(scores: pd.DataFrame) -> str:
    """The SVG for `LabelStore.scores`; its size does not depend on them.

    Classes of its parts, which `labeller.css` colours: rule, curve, point.
    """
    last = max(10, int(scores["labels"].max()) if len(scores) else 0)
    ticks = [
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.0%}</text>'
        for value in (0, 0.25, 0.5, 0.75, 1)
        for y in [_y(value)]
    ]
    ticks += [
        f'<text x="{_x(value, last):.1f}" y="{HEIGHT - BOTTOM + 16}" '
        f'text-anchor="middle">{value}</text>'
        for value in _round_steps(last)
    ]
    places = [
        (_x(labels, last), _y(accuracy), f"{labels} labels: {accuracy:.1%}")
        for labels, accuracy in zip(scores["labels"], scores["accuracy"], strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    points = "".join(
        f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{text}</title></circle>'
        for x, y, text in places
    )
    said = "; ".join(text for _, _, text in places) or "none measured yet"
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="Held-out accuracy. {escape(said)}">{"".join(ticks)}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f'labels</text><text transform="translate(12 {middle}) rotate(-90)" '
        f'text-anchor="middle">held-out accuracy</text>'
        f'<polyline class="curve" points="{line}"/>{points}</svg>'
    )


def _x(labels: float, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * labels / last


def _y(accuracy: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * accuracy


def _round_steps(last: int) -> range:
    """Multiples of 1, 2 or 5 times a power of ten, at most six of them.

    >>> list(_round_steps(30)), list(_round_steps(10))
    ([0, 10, 20, 30], [0, 2, 4, 6, 8, 10])
    """
    steps = (factor * 10**power for power in count() for factor in (1, 2, 5))
    return range(0, last + 1, next(step for step in steps if last // step <= 5))


KEYS = "1234567890" + string.ascii_lowercase
PIXELS = 128  # the longer side of an image on the page is at most this


class LabelView(anywidget.AnyWidget):
    """What the page shows; it sends back what the reader did, and changes no trait itself.

    Messages: `{kind: "label", index, class, unsure}`, `{kind: "skip", index}`,
    `{kind: "undo", index}`, `{kind: "show", batch}`, `{kind: "next", batch}`, `{kind: "export"}`,
    each with the `view` that sent it and its running number `step`, from 1, by which they are put
    in order. A message counts as done only when `state["done"][view]` has come to its `step`.
    """

    _esm = Path(__file__).with_name("labeller.js")
    _css = Path(__file__).with_name("labeller.css")
    classes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    size = traitlets.List([0, 0]).tag(sync=True)
    images: traitlets.List[Any] = traitlets.List().tag(sync=True)
    curve = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)


def buttons(classes: Sequence[str]) -> list[dict[str, str]]:
    """Name and short-cut of each class; of more than 36 none has one, and their names are typed."""
    keys = KEYS if len(classes) <= len(KEYS) else [""] * len(classes)
    return [{"name": name, "key": key} for name, key in zip(classes, keys, strict=False)]


def shown_size(shape: Sequence[int]) -> list[int]:
    """Width and height on the page, in pixels: a whole multiple that keeps small images crisp.

    >>> shown_size((28, 28)), shown_size((32, 32, 3)), shown_size((300, 600, 3))
    ([112, 112], [128, 128], [128, 64])
    """
    height, width = shape[:2]
    longer = max(height, width)
    scale = PIXELS // longer or PIXELS / longer
    return [max(1, round(width * scale)), max(1, round(height * scale))]


def picture(index: int, image: np.ndarray) -> dict[str, Any]:
    """One image for `LabelView.images`: its index and a PNG data URL.

    Large images are made smaller, to twice the size on the page for screens with fine pixels.
    """
    file, shown = io.BytesIO(), Image.fromarray(image)
    shown.thumbnail((2 * PIXELS, 2 * PIXELS))
    shown.save(file, "PNG")
    code = base64.b64encode(file.getvalue()).decode()
    return {"index": int(index), "src": f"data:image/png;base64,{code}"}
