"""The front end of the labelling widget, and pictures in the form it takes them."""

import base64
import io
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from PIL import Image

KEYS = "1234567890" + string.ascii_lowercase
PIXELS = 128  # the longer side of an image on the page is at most this


class LabelView(anywidget.AnyWidget):
    """What the page shows; it sends back what the reader did, and changes no trait itself.

    Messages: `{kind: "label", index, class}`, `{kind: "undo", index}`, `{kind: "next", batch}`,
    each with the `view` that sent it and its running number `step`, from 1, by which they are put
    in order. A message counts as done only when `state["done"][view]` has come to its `step`.
    """

    _esm = Path(__file__).with_name("labelling.js")
    _css = Path(__file__).with_name("labelling.css")
    classes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    size = traitlets.List([0, 0]).tag(sync=True)
    images: traitlets.List[Any] = traitlets.List().tag(sync=True)
    curve = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)


def buttons(classes: Sequence[str]) -> list[dict[str, str]]:
    """Name and short-cut of each class; those after the 36th have none."""
    return [{"name": name, "key": KEYS[number : number + 1]} for number, name in enumerate(classes)]


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
