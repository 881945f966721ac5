"""The figure of the toy demo: one Plotly widget, changed in place from step to step."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from ialelib.demo.session import COMPARED, EDGES_X, GRID_X, GRID_Y, SIDES, Demo, Panel
from ialelib.plots.style import COLOURS, NAMES, POLICY_COLOURS
from ialelib.plots.toy import CLASS_COLOURS
from ialelib.utils.extras import extra

with extra("demo"):
    import plotly.graph_objects as go

FAINT, MIDDLE, CLEAR = "rgba(127,127,127,0.25)", "#8A8A8A", "rgba(0,0,0,0)"
COLUMNS = ((0.0, 0.45), (0.55, 1.0))
ROWS = {"above": (0.85, 0.96), "plane": (0.35, 0.83), "below": (0.0, 0.22)}
KEY = "● left panel, ◆ right panel, dotted: best possible"
SYMBOLS = ("circle", "square")
CLICKABLE = ("unlabelled", "class 0", "class 1", "newest")
BARS = (*COMPARED, "any")
HOVER = "point %{customdata}<extra></extra>"


def layout() -> dict[str, Any]:
    """What never changes: a histogram above each plane, and two panels below."""
    axes: dict[str, Any] = {}
    x, y = ([float(grid[0]), float(grid[-1])] for grid in (EDGES_X, GRID_Y))
    for side, column in enumerate(COLUMNS):
        left = side == 0
        across = _axis("feature 1", column, x, f"y{1 + side}", dtick=2)
        up = _axis("feature 2" * left, ROWS["plane"], y, f"x{1 + side}", dtick=2)
        above = _axis("labels, %" * left, ROWS["above"], [0, 42], f"x{3 + side}")
        axes |= {
            f"xaxis{1 + side}": across,
            f"yaxis{1 + side}": up | {"showticklabels": left},
            f"xaxis{3 + side}": _axis("", column, x, f"y{3 + side}", showticklabels=False),
            f"yaxis{3 + side}": above | {"tickvals": [*range(0, 101, 20)], "showticklabels": left},
        }
    share = "share of the policy's newest batch, %"
    quarters = [0, 25, 50, 75, 100]
    axes |= {
        "xaxis5": _axis("labelled points", COLUMNS[0], [0, 240], "y5"),
        "yaxis5": _axis("test accuracy, %", ROWS["below"], [50, 100], "x5"),
        "xaxis6": _axis(share, (0.62, 1.0), [0, 100], "y6", tickvals=quarters),
        "yaxis6": _axis("", ROWS["below"], [4.6, -0.6], "x6", showgrid=False),
    }
    heading = {"xref": "paper", "yref": "paper", "yanchor": "bottom", "xanchor": "center"}
    dotted = {"color": MIDDLE, "width": 1, "dash": "dot"}
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
    return axes | {
        "height": 710,
        "autosize": True,
        "margin": {"l": 62, "r": 44, "t": 64, "b": 48, "autoexpand": False},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"size": 12},
        "barmode": "stack",
        "bargap": 0.08,
        "annotations": [
            {"x": sum(column) / 2, "y": ROWS[row][1] + 0.005, "showarrow": False, **heading}
            for row in ("above", "below")
            for column in COLUMNS
        ],
        "shapes": [{"type": "line", "xref": "x5", "yref": "y5", "x0": 0, "line": dotted}],
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "white", "bordercolor": MIDDLE},
        "legend": {"itemclick": False, "itemdoubleclick": False, **legend},
    }


def _axis(
    title: str, domain: tuple[float, float], span: list[float], anchor: str, **more: Any
) -> dict[str, Any]:
    lines = {"gridcolor": FAINT, "linecolor": MIDDLE, "showline": True, "zeroline": False}
    place = {"domain": domain, "range": span, "anchor": anchor, "fixedrange": True}
    return {"title": {"text": title, "standoff": 6}, **place, **lines, **more}


def changing(demo: Demo) -> dict[str, Any]:
    """Headings, and the ranges that follow from the overlap and the number of labels."""
    best = 100 * (1 - demo.overlap / 2)
    seen = [100 * accuracy for panel in demo.panels for accuracy in panel.accuracy]
    width = 240
    while width < max(panel.labels[-1] for panel in demo.panels):
        width *= 2
    tallest = max(panel.histogram_C_B.sum(0).max() / len(panel.labelled) for panel in demo.panels)
    share = [0, max(40, 20 * math.ceil(5 * tallest)) + 2]
    titles = [
        f"<b>{side.capitalize()}: {NAMES[panel.strategy]}</b>, {panel.labels[-1]} labels, "
        f"accuracy {100 * panel.accuracy[-1]:.1f} %"
        for side, panel in zip(SIDES, demo.panels, strict=True)
    ]
    return {
        "annotations": [{"text": text} for text in (*titles, KEY, _note(demo))],
        "shapes": [{"x1": width, "y0": best, "y1": best}],
        "yaxis3.range": share,
        "yaxis4.range": share,
        "xaxis5.range": [0, width],
        "yaxis5.range": [min(best - 20, *(value - 1 for value in seen)), best + 4],
    }


def _note(demo: Demo) -> str:
    """Heading of the bars: whose they are, or why there are none."""
    chosen = [panel for panel in demo.panels if panel.strategy == "policy"]
    if not chosen:
        return "No panel shows the policy"
    if any(panel.shares for panel in chosen):
        return "What each expert would have chosen, too"
    return "The policy has chosen no batch yet"


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
    plain = go.Figure([*_plane(0), *_charts(0), *_plane(1), *_charts(1), *_keys()], layout())
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


def trace(figure: go.Figure | go.FigureWidget, name: str, side: int) -> Any:
    """One of the figure's traces by what it shows, e.g. ("newest", 0) for the left panel."""
    (found,) = figure.select_traces({"meta": _meta(name, side)})
    return found


def _meta(name: str, side: int) -> str:
    return f"{SIDES[side]} {name}"


def _trace(kind: Any, what: str, side: int, axes: int, **options: Any) -> Any:
    """A trace that `trace` finds by what it shows, on the axes of that number."""
    place = {"meta": _meta(what, side), "xaxis": f"x{axes}", "yaxis": f"y{axes}"}
    return kind(**{"showlegend": False, **place, **options})


def _plane(side: int) -> list[Any]:
    """The traces of a panel's plane, from the bottom up."""
    grid: dict[str, Any] = {"x": GRID_X, "y": GRID_Y, "showscale": False, "hoverinfo": "skip"}
    # The browser blends the colours between grid points: far faster than Plotly's own blending.
    tint = {"zsmooth": "fast", "colorscale": _tint(), "zmin": 0, "zmax": 1}
    contours = {"start": 0.5, "end": 0.5, "size": 1, "coloring": "none"}
    boundary = {"contours": contours, "line": {"width": 2.5, "color": MIDDLE}}
    bar = {"thickness": 9, "len": 0.48, "lenmode": "fraction", "x": COLUMNS[side][1] + 0.004}
    bar |= {"y": 0.60, "tickvals": [0, 0.5, 1], "outlinewidth": 0, "ticklen": 0, "xpad": 2}
    bar |= {"title": {"text": "score", "side": "top", "font": {"size": 11}}}
    scale = [[0, "#A0A0A0"], [1, POLICY_COLOURS[4]]]
    scored = {"color": MIDDLE, "colorscale": scale, "cmin": 0, "cmax": 1, "colorbar": bar}
    ring = {"symbol": "circle-open", "size": 19, "color": COLOURS["badge"], "line": {"width": 3}}
    points: dict[str, tuple[str, dict[str, Any]]] = {
        "unlabelled": ("unlabelled", scored | {"line": {"width": 0}}),
        **{f"class {c}": (f"labelled, class {c}", _marker(c)) for c in (0, 1)},
        "newest": ("newest batch", {"size": 13, "line": {"width": 1.5, "color": "black"}}),
        "chosen": ("chosen point", ring),
    }
    return [
        _trace(go.Heatmap, "tint", side, 1 + side, **grid, **tint),
        _trace(go.Contour, "boundary", side, 1 + side, **grid, **boundary),
        *(_points(what, side, *looks) for what, looks in points.items()),
    ]


def _points(what: str, side: int, name: str, marker: dict[str, Any]) -> Any:
    hover = {"hovertemplate": HOVER} if what in CLICKABLE else {"hoverinfo": "skip"}
    look = {"mode": "markers", "marker": marker, "name": name}
    legend = side == 0 and what != "newest"
    return _trace(go.Scatter, what, side, 1 + side, showlegend=legend, **look, **hover)


def _tint() -> list[tuple[float, str]]:
    """Colour of the plane by the probability of class 1: the likelier class's, faint in between."""
    likelier = ((0, 0, 0.25), (0.499, 0, 0.06), (0.501, 1, 0.06), (1, 1, 0.25))
    red_green_blue = [
        ",".join(str(int(c[i : i + 2], 16)) for i in (1, 3, 5)) for c in CLASS_COLOURS
    ]
    return [(at, f"rgba({red_green_blue[c]},{strength})") for at, c, strength in likelier]


def _marker(c: int) -> dict[str, Any]:
    outline = {"width": 1, "color": "black"}
    return {"symbol": SYMBOLS[c], "size": 9, "color": CLASS_COLOURS[c], "line": outline}


def _charts(side: int) -> list[Any]:
    """The histograms above a panel; its accuracy and its experts' shares below."""
    histograms = [
        _trace(
            go.Bar,
            f"histogram {c}",
            side,
            3 + side,
            x=(EDGES_X[1:] + EDGES_X[:-1]) / 2,
            marker={"color": CLASS_COLOURS[c], "line": {"width": 0}},
            hovertemplate=f"class {c}: %{{y:.0f}} % of the labels<extra></extra>",
        )
        for c in (0, 1)
    ]
    accuracy = {
        "mode": "lines+markers",
        "line": {"dash": ("solid", "dash")[side]},
        "marker": {"size": 7, "symbol": ("circle", "diamond")[side]},
        "hovertemplate": "%{x} labels: %{y:.1f} %<extra></extra>",
    }
    shares = {
        "orientation": "h",
        "base": 0,
        "y": [NAMES.get(name, "any of them") for name in BARS],
        "marker": {"color": [COLOURS.get(name, MIDDLE) for name in BARS]},
        "hovertemplate": "%{y}: %{x:.0f} % of the batch<extra></extra>",
    }
    return [
        *histograms,
        _trace(go.Scatter, "accuracy", side, 5, **accuracy),
        _trace(go.Bar, "shares", side, 6, **shares),
    ]


def _keys() -> list[Any]:
    """Entries of the legend for what has no single look, or is not there at first."""
    line = {"color": MIDDLE, "width": 2.5}
    newest = _marker(0) | {"symbol": "circle-x", "size": 13}
    return [
        go.Scatter(x=[None], y=[None], mode="markers", marker=newest, name="newest batch"),
        go.Scatter(x=[None], y=[None], mode="lines", line=line, name="decision boundary"),
    ]


def _values(demo: Demo, panel: Panel, point: int) -> dict[str, dict[str, Any]]:
    """What changes in a panel's traces, by name."""
    old = np.setdiff1d(panel.labelled, panel.newest)
    of_old, of_new = (demo.data.train_labels[points] for points in (old, panel.newest))
    right = panel is demo.panels[1]
    twins = demo.panels[0].strategy == demo.panels[1].strategy
    # Black is not seen on a dark page.
    grey = panel.strategy == "random" or (twins and right)
    colour = MIDDLE if grey else COLOURS[panel.strategy]
    share_C_B = 100 * panel.histogram_C_B / len(panel.labelled)
    return {
        "tint": {"z": panel.probability_Y_X},
        "boundary": {"z": panel.probability_Y_X},
        "unlabelled": _at(demo, panel.unlabelled) | _scored(panel.score_U),
        **{f"class {c}": _at(demo, old[of_old == c]) for c in (0, 1)},
        "newest": _at(demo, panel.newest)
        | {
            "marker.color": [CLASS_COLOURS[c] for c in of_new],
            "marker.symbol": [f"{SYMBOLS[c]}-x" for c in of_new],
        },
        "chosen": _at(demo, [point]),
        **{f"histogram {c}": {"y": share_C_B[c]} for c in (0, 1)},
        "accuracy": {
            "x": panel.labels,
            "y": 100 * np.array(panel.accuracy),
            "line.color": colour,
            "marker.color": colour,
        },
        "shares": {
            "x": [panel.shares.get(name) for name in BARS],
            "visible": panel.strategy == "policy",
            "width": 0.4 if twins else 0.8,
            "offset": 0 if twins and right else -0.4,
        },
    }


def _scored(score_U: np.ndarray | None) -> dict[str, Any]:
    """Grey dots; the policy's have the colour and the size of their score."""
    scored, hover = score_U is not None, "point %{customdata}, score %{marker.color:.2f}"
    return {
        "marker.color": MIDDLE if score_U is None else score_U,
        "marker.size": 4 if score_U is None else 3 + 5 * score_U,
        "marker.showscale": scored,
        "hovertemplate": f"{hover}<extra></extra>" if scored else HOVER,
    }


def _at(demo: Demo, points: np.ndarray | Sequence[int]) -> dict[str, Any]:
    """Coordinates and indices of points, without those that do not exist."""
    inside = np.array([p for p in points if 0 <= p < len(demo.points_N_2)], dtype=np.int32)
    xy = demo.points_N_2[inside]
    return {"x": xy[:, 0], "y": xy[:, 1], "customdata": inside}
