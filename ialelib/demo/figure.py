"""The figure of the toy demo: one Plotly widget, changed in place from step to step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from typing_extensions import override

from ialelib.demo.session import COMPARED, EDGES_X, GRID_X, GRID_Y, SIDES, Demo, Panel
from ialelib.plots.style import COLOURS, NAMES, POLICY_COLOURS
from ialelib.plots.toy import CLASS_COLOURS

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


SYMBOLS = ("circle", "square")
CLICKABLE = ("unlabelled", "class 0", "class 1", "newest")
HOVER = "point %{customdata}<extra></extra>"
SCALE = ("#A0A0A0", POLICY_COLOURS[4])


class _Figure(go.FigureWidget):  # type: ignore[misc]
    """A figure that pages which are reloaded show as it is now, not as it was at first."""

    @override
    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if hasattr(self, "_layout_obj"):  # not while it is being made
            now = {"_widget_data": self._data, "_widget_layout": self._layout_obj._props}
            for name in now.keys() & state.keys():
                state[name] = self.trait_metadata(name, "to_json")(now[name], self)
        return state


def build(demo: Demo) -> go.FigureWidget:
    """The whole figure of a demo; `update` shows another state of it, or another demo, in it."""
    traces = [trace for side in range(len(SIDES)) for trace in (*_plane(side), *_above(side))]
    plain = go.Figure([*traces, *_below(), *_keys()], fixed())
    update(plain, demo, point=0)
    figure = _Figure(plain)
    figure._config = {"displayModeBar": False, "responsive": True, "doubleClick": False}
    return figure


def update(figure: go.Figure | go.FigureWidget, demo: Demo, point: int) -> None:
    """Show the demo's present state, all at once, with a ring around `point`."""
    with figure.batch_update():
        traces = {trace.meta: trace for trace in figure.data}
        for side, panel in enumerate(demo.panels):
            for name, values in _values(demo, panel, point).items():
                traces[_meta(name, side)].update(values)
        figure.update_layout(changing(demo))


def ring(figure: go.FigureWidget, demo: Demo, point: int) -> None:
    """Move the ring to a point, or take it away where there is no such point."""
    with figure.batch_update():
        for side in range(len(SIDES)):
            trace(figure, "chosen", side).update(_at(demo, [point]))


def trace(figure: go.Figure | go.FigureWidget, name: str, side: int) -> Any:
    """One of the figure's traces by what it shows, e.g. ("newest", 0) for the left panel."""
    (found,) = figure.select_traces({"meta": _meta(name, side)})
    return found


def _meta(name: str, side: int) -> str:
    return f"{SIDES[side]} {name}"


def _plane(side: int) -> list[Any]:
    """The traces of a panel's plane, from the bottom up."""
    axes: dict[str, Any] = {"xaxis": f"x{1 + side}", "yaxis": f"y{1 + side}"}
    grid = {"x": GRID_X, "y": GRID_Y, "showscale": False, "showlegend": False, **axes}
    grid |= {"hoverinfo": "skip"}
    # The browser blends the colours between grid points: far faster than Plotly's own blending.
    plane = go.Heatmap(
        zsmooth="fast",
        colorscale=tint(),
        zmin=0,
        zmax=1,
        meta=_meta("tint", side),
        **grid,
    )
    boundary = go.Contour(
        contours={"start": 0.5, "end": 0.5, "size": 1, "coloring": "none"},
        line={"width": 2.5, "color": MIDDLE},
        meta=_meta("boundary", side),
        **grid,
    )
    bar = {"thickness": 9, "len": 0.48, "lenmode": "fraction", "x": COLUMNS[side][1] + 0.004}
    bar |= {"y": 0.60, "tickvals": [0, 0.5, 1], "outlinewidth": 0, "ticklen": 0, "xpad": 2}
    bar |= {"title": {"text": "score", "side": "top", "font": {"size": 11}}}
    grey = {"color": MIDDLE, "colorscale": [[0, SCALE[0]], [1, SCALE[1]]], "cmin": 0, "cmax": 1}
    ringed = {"symbol": "circle-open", "size": 19, "color": COLOURS["badge"]}
    styles: list[tuple[str, str, dict[str, Any]]] = [
        ("unlabelled", "unlabelled", grey | {"colorbar": bar, "line": {"width": 0}}),
        *((f"class {c}", f"labelled, class {c}", _marker(c)) for c in (0, 1)),
        ("newest", "newest batch", {"size": 13, "line": {"width": 1.5, "color": "black"}}),
        ("chosen", "chosen point", ringed | {"line": {"width": 3}}),
    ]
    points = [
        go.Scatter(
            mode="markers",
            marker=marker,
            name=shown,
            meta=_meta(name, side),
            hovertemplate=HOVER if name in CLICKABLE else None,
            hoverinfo=None if name in CLICKABLE else "skip",
            showlegend=side == 0 and name != "newest",
            **axes,
        )
        for name, shown, marker in styles
    ]
    return [plane, boundary, *points]


def _keys() -> list[Any]:
    """Entries of the legend for what has no single look, or is not there at first."""
    line = {"color": MIDDLE, "width": 2.5}
    newest = _marker(0) | {"symbol": "circle-x", "size": 13}
    return [
        go.Scatter(x=[None], y=[None], mode="markers", marker=newest, name="newest batch"),
        go.Scatter(x=[None], y=[None], mode="lines", line=line, name="decision boundary"),
    ]


def _marker(c: int) -> dict[str, Any]:
    outline = {"width": 1, "color": "black"}
    return {"symbol": SYMBOLS[c], "size": 9, "color": CLASS_COLOURS[c], "line": outline}


def _above(side: int) -> list[Any]:
    """The histograms above a panel."""
    middles = (EDGES_X[1:] + EDGES_X[:-1]) / 2
    return [
        go.Bar(
            x=middles,
            marker={"color": CLASS_COLOURS[c], "line": {"width": 0}},
            meta=_meta(f"histogram {c}", side),
            hovertemplate=f"class {c}: %{{y:.0f}} % of the labels<extra></extra>",
            showlegend=False,
            xaxis=f"x{3 + side}",
            yaxis=f"y{3 + side}",
        )
        for c in (0, 1)
    ]


def _below() -> list[Any]:
    """Accuracy over labels, and the experts' shares in the policy's batch."""
    lines = [
        go.Scatter(
            mode="lines+markers",
            line={"dash": ("solid", "dash")[side]},
            marker={"size": 7, "symbol": ("circle", "diamond")[side]},
            meta=_meta("accuracy", side),
            hovertemplate="%{x} labels: %{y:.1f} %<extra></extra>",
            showlegend=False,
            xaxis="x5",
            yaxis="y5",
        )
        for side in range(len(SIDES))
    ]
    bars = [
        go.Bar(
            orientation="h",
            base=0,
            y=[NAMES.get(name, "any of them") for name in (*COMPARED, "any")],
            marker={"color": [COLOURS.get(name, MIDDLE) for name in (*COMPARED, "any")]},
            meta=_meta("shares", side),
            hovertemplate="%{y}: %{x:.0f} % of the batch<extra></extra>",
            showlegend=False,
            xaxis="x6",
            yaxis="y6",
        )
        for side in range(len(SIDES))
    ]
    return lines + bars


def _values(demo: Demo, panel: Panel, point: int) -> dict[str, dict[str, Any]]:
    """What changes in a panel's traces, by name."""
    labels = demo.data.train_labels
    old = np.setdiff1d(panel.labelled, panel.newest)
    side = int(panel is demo.panels[1])
    twins = demo.panels[0].strategy == demo.panels[1].strategy
    shares = [panel.shares.get(name) for name in (*COMPARED, "any")]
    # Black is not seen on a dark page.
    grey = panel.strategy == "random" or (twins and side == 1)
    colour = MIDDLE if grey else COLOURS[panel.strategy]
    return {
        "tint": {"z": panel.probability_Y_X},
        "boundary": {"z": panel.probability_Y_X},
        "unlabelled": _unlabelled(demo, panel),
        **{f"class {c}": _at(demo, old[labels[old] == c]) for c in (0, 1)},
        "newest": _at(demo, panel.newest)
        | {
            "marker.color": [CLASS_COLOURS[c] for c in labels[panel.newest]],
            "marker.symbol": [f"{SYMBOLS[c]}-x" for c in labels[panel.newest]],
        },
        "chosen": _at(demo, [point]),
        **{
            f"histogram {c}": {"y": 100 * panel.histogram_C_B[c] / len(panel.labelled)}
            for c in (0, 1)
        },
        "accuracy": {
            "x": panel.labels,
            "y": 100 * np.array(panel.accuracy),
            "line.color": colour,
            "marker.color": colour,
        },
        "shares": {
            "x": shares,
            "visible": panel.strategy == "policy",
            "width": 0.4 if twins else 0.8,
            "offset": 0 if twins and side == 1 else -0.4,
        },
    }


def _unlabelled(demo: Demo, panel: Panel) -> dict[str, Any]:
    """Grey dots; the policy's have the colour and the size of their score."""
    found = _at(demo, panel.unlabelled)
    if panel.score_U is None:
        return found | {
            "marker.color": MIDDLE,
            "marker.size": 4,
            "marker.showscale": False,
            "hovertemplate": HOVER,
        }
    return found | {
        "marker.color": panel.score_U,
        "marker.size": 3 + 5 * panel.score_U,
        "marker.showscale": True,
        "hovertemplate": "point %{customdata}, score %{marker.color:.2f}<extra></extra>",
    }


def _at(demo: Demo, points: np.ndarray | Sequence[int]) -> dict[str, Any]:
    """Coordinates and numbers of points, without those that do not exist."""
    inside = np.array([p for p in points if 0 <= p < len(demo.points_N_2)], dtype=np.int32)
    xy = demo.points_N_2[inside]
    return {"x": xy[:, 0], "y": xy[:, 1], "customdata": inside}
