"""The figure of the toy demo: one Plotly widget, changed in place from step to step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from typing_extensions import override

from ialelib import demo_layout
from ialelib.demo import COMPARED, EDGES_X, GRID_X, GRID_Y, SIDES, Demo, Panel
from ialelib.demo_layout import COLUMNS, MIDDLE
from ialelib.plots import COLOURS, NAMES, POLICY_COLOURS
from ialelib.toy_plots import CLASS_COLOURS

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
    plain = go.Figure([*traces, *_below(), *_keys()], demo_layout.fixed())
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
        figure.update_layout(demo_layout.changing(demo))


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
    tint = go.Heatmap(
        zsmooth="fast",
        colorscale=demo_layout.tint(),
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
    return [tint, boundary, *points]


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
