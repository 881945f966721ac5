"""Axes, titles and theme colours of the toy demo's figure; sizes and ranges stay as they are."""

import math
from typing import Any

from ialelib.demo import EDGES_X, GRID_Y, SIDES, Demo, Panel
from ialelib.plots import NAMES
from ialelib.toy_plots import CLASS_COLOURS

HEIGHT = 710
FAINT = "rgba(127,127,127,0.25)"
MIDDLE = "#8A8A8A"
COLUMNS = ((0.0, 0.45), (0.55, 1.0))
KEY = "● left panel, ◆ right panel, dotted: best possible"
ROWS = {"above": (0.85, 0.96), "plane": (0.35, 0.83), "below": (0.0, 0.22)}
STYLE = """<style>
.ialelib-demo .js-plotly-plot .main-svg text {
  fill: var(--jp-ui-font-color1, #333) !important;
}
.ialelib-demo .js-plotly-plot .hoverlayer text { fill: #222 !important; }
.ialelib-demo .js-plotly-plot .contourlayer path,
.ialelib-demo .js-plotly-plot .scatterlayer .point,
.ialelib-demo .js-plotly-plot .legend .scatterpts {
  stroke: var(--jp-ui-font-color1, #333) !important;
}
.ialelib-demo .widget-dropdown > select {
  background-image: linear-gradient(45deg, transparent 50%, currentColor 50%),
    linear-gradient(135deg, currentColor 50%, transparent 50%);
  background-position: right 10px center, right 5px center;
  background-size: 5px 5px;
  background-repeat: no-repeat;
}
.ialelib-demo { max-width: 1400px; }
.ialelib-demo .widget-hbox { column-gap: 14px; }
</style>"""
"""Texts, arrows and the boundary take the colour of JupyterLab's theme, light or dark."""


def fixed() -> dict[str, Any]:
    """What never changes."""
    axes: dict[str, Any] = {}
    for side, column in enumerate(COLUMNS):
        first = [float(EDGES_X[0]), float(EDGES_X[-1])]
        second = [float(GRID_Y[0]), float(GRID_Y[-1])]
        title = ("feature 2", "")[side]
        axes[f"xaxis{1 + side}"] = _axis("feature 1", column, first, f"y{1 + side}") | {"dtick": 2}
        plane = _axis(title, ROWS["plane"], second, f"x{1 + side}") | {"dtick": 2}
        axes[f"yaxis{1 + side}"] = plane | {"showticklabels": side == 0}
        above = _axis("", column, first, f"y{3 + side}") | {"showticklabels": False}
        axes[f"xaxis{3 + side}"] = above
        share = _axis(("labels, %", "")[side], ROWS["above"], [0, 42], f"x{3 + side}")
        share |= {"tickvals": [0, 20, 40, 60, 80, 100], "showticklabels": side == 0}
        axes[f"yaxis{3 + side}"] = share
    axes["xaxis5"] = _axis("labelled points", COLUMNS[0], [0, 240], "y5")
    axes["yaxis5"] = _axis("test accuracy, %", ROWS["below"], [50, 100], "x5")
    half = (COLUMNS[1][0] + 0.07, COLUMNS[1][1])
    axes["xaxis6"] = _axis("share of the policy's newest batch, %", half, [0, 100], "y6")
    axes["xaxis6"] |= {"tickvals": [0, 25, 50, 75, 100]}
    axes["yaxis6"] = _axis("", ROWS["below"], [4.6, -0.6], "x6") | {"showgrid": False}
    return axes | {
        "height": HEIGHT,
        "autosize": True,
        "margin": {"l": 62, "r": 44, "t": 64, "b": 48, "autoexpand": False},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12},
        "barmode": "stack",
        "bargap": 0.08,
        "annotations": [
            _heading(sum(column) / 2, ROWS[row][1] + 0.005)
            for row in ("above", "below")
            for column in COLUMNS
        ],
        "shapes": [
            {"type": "line", "xref": "x5", "yref": "y5", "x0": 0}
            | {"line": {"color": MIDDLE, "width": 1, "dash": "dot"}}
        ],
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "white", "bordercolor": MIDDLE},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
            "itemclick": False,
            "itemdoubleclick": False,
        },
    }


def changing(demo: Demo) -> dict[str, Any]:
    """Headings, and the ranges that follow from the overlap and the number of labels."""
    best = 100 * (1 - demo.overlap / 2)
    seen = [100 * accuracy for panel in demo.panels for accuracy in panel.accuracy]
    width = 240
    while width < max(panel.labels[-1] for panel in demo.panels):
        width *= 2
    tallest = max(panel.histogram_C_B.sum(0).max() / len(panel.labelled) for panel in demo.panels)
    share = [0, max(40, 20 * math.ceil(5 * tallest)) + 2]
    texts = [*map(_title, SIDES, demo.panels), KEY, _note(demo)]
    return {
        "annotations": [{"text": text} for text in texts],
        "shapes": [{"x1": width, "y0": best, "y1": best}],
        "yaxis3.range": share,
        "yaxis4.range": share,
        "xaxis5.range": [0, width],
        "yaxis5.range": [min(best - 20, *(value - 1 for value in seen)), best + 4],
    }


def _title(side: str, panel: Panel) -> str:
    return (
        f"<b>{side.capitalize()}: {NAMES[panel.strategy]}</b>, {panel.labels[-1]} labels, "
        f"accuracy {100 * panel.accuracy[-1]:.1f} %"
    )


def _note(demo: Demo) -> str:
    """Heading of the bars: whose they are, or why there are none."""
    chosen = [side for side, panel in enumerate(demo.panels) if panel.strategy == "policy"]
    if not chosen:
        return "No panel shows the policy"
    if any(demo.panels[side].shares for side in chosen):
        return "What each expert would have chosen, too"
    return "The policy has chosen no batch yet"


def _heading(x: float, y: float) -> dict[str, Any]:
    place = {"x": x, "y": y, "xref": "paper", "yref": "paper"}
    return place | {"yanchor": "bottom", "xanchor": "center", "showarrow": False}


def _axis(title: str, domain: tuple[float, float], span: list[float], anchor: str) -> Any:
    return {
        "title": {"text": title, "standoff": 6},
        "domain": domain,
        "range": span,
        "anchor": anchor,
        "fixedrange": True,
        "zeroline": False,
        "gridcolor": FAINT,
        "linecolor": MIDDLE,
        "showline": True,
    }


def tint() -> list[tuple[float, str]]:
    """Colour of the plane by the probability of class 1: the likelier class's, faint in between."""
    likelier = ((0, 0, 0.25), (0.499, 0, 0.06), (0.501, 1, 0.06), (1, 1, 0.25))
    return [(at, _transparent(CLASS_COLOURS[c], strength)) for at, c, strength in likelier]


def _transparent(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"
