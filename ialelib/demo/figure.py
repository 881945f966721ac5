"""The plots of the toy demo: two planes below their histograms, accuracies, experts' shares."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ialelib.demo.session import COMPARED, EDGES_X, GRID_X, GRID_Y, SIDES, Demo, Panel
from ialelib.plots.style import COLOURS, NAMES, POLICY_COLOURS
from ialelib.plots.toy import CLASS_COLOURS
from ialelib.utils.extras import extra

with extra("demo"):
    import plotly.graph_objects as go

FAINT, MIDDLE, CLEAR = "rgba(127,127,127,0.25)", "#8A8A8A", "rgba(0,0,0,0)"
KEY = "● left panel, ◆ right panel, dotted: best possible"
SYMBOLS = ("circle", "square")
BARS = (*COMPARED, "any")
LABELS = 240  # that the axis of the accuracies has room for at first


def plots(demo: Demo, point: int | None) -> list[dict[str, str]]:
    """What the page draws of the demo's present state, with a ring around `point`.

    Each plot has a kind (how large it is), a heading (HTML) and a figure (Plotly's JSON).
    """
    sides = range(len(SIDES))
    planes = [("plane", _title(demo, side), plane(demo, side, point)) for side in sides]
    charts = [("chart", KEY, accuracy(demo)), ("chart", _note(demo), shares(demo))]
    return [
        {"kind": kind, "heading": heading, "figure": str(figure.to_json())}
        for kind, heading, figure in (*planes, *charts)
    ]


def legend() -> str:
    """What the marks in the planes mean, as HTML; demo.css draws them."""
    names = {
        "unlabelled": "unlabelled",
        "class-0": "labelled, class 0",
        "class-1": "labelled, class 1",
        "newest": "newest batch",
        "boundary": "decision boundary",
        "own": "your point",
    }
    colours = "; ".join(f"--class-{c}: {colour}" for c, colour in enumerate(CLASS_COLOURS))
    keys = (f'<span class="ialelib-key {key}">{name}</span>' for key, name in names.items())
    return f'<span style="{colours}">{" ".join(keys)}</span>'


def plane(demo: Demo, side: int, point: int | None) -> go.Figure:
    """A side's points and decision boundary, below the histogram of its labels."""
    panel = demo.panels[side]
    old = np.setdiff1d(panel.labelled, panel.newest)
    of_old, of_new = (demo.data.train_labels[points] for points in (old, panel.newest))
    grid = {"x": GRID_X, "y": GRID_Y, "z": panel.probability_Y_X, "showscale": False}
    # The browser blends the colours between grid points: far faster than Plotly's own blending.
    tint = {"zsmooth": "fast", "colorscale": _tint(), "zmin": 0, "zmax": 1}
    contours = {"start": 0.5, "end": 0.5, "size": 1, "coloring": "none"}
    new = {
        "size": 13,
        "line": {"width": 1.5, "color": "black"},
        "color": [CLASS_COLOURS[c] for c in of_new],
        "symbol": [f"{SYMBOLS[c]}-x" for c in of_new],
    }
    ring = {"symbol": "circle-open", "size": 19, "line": {"width": 3}}
    traces = [
        go.Heatmap(grid | tint, hoverinfo="skip"),
        go.Contour(grid, contours=contours, line={"width": 2.5}, hoverinfo="skip"),
        _points(demo, "unlabelled", panel.unlabelled, _scored(panel.score_U)),
        *(_points(demo, f"class {c}", old[of_old == c], _marker(c)) for c in (0, 1)),
        _points(demo, "newest", panel.newest, new),
        _points(demo, "own", [] if point is None else [point], ring, hoverinfo="skip"),
        *(_histogram(panel, c) for c in (0, 1)),
    ]
    across = _axis("feature 1", (EDGES_X[0], EDGES_X[-1]), dtick=2)
    up = _axis("feature 2", (GRID_Y[0], GRID_Y[-1]), dtick=2, domain=[0, 0.8])
    above = _axis("labels, %", [0, _tallest(demo)], domain=[0.83, 1], tickvals=[*range(0, 101, 20)])
    return _figure(traces, xaxis=across, yaxis=up, yaxis2=above, barmode="stack", bargap=0.08)


def accuracy(demo: Demo) -> go.Figure:
    """Both sides' accuracies so far."""
    best = 100 * (1 - demo.overlap / 2)
    seen = [100 * accuracy for panel in demo.panels for accuracy in panel.accuracy]
    width = LABELS
    while width < max(panel.labels[-1] for panel in demo.panels):
        width *= 2
    traces = [
        go.Scatter(
            x=panel.labels,
            y=100 * np.array(panel.accuracy),
            name=SIDES[side],
            mode="lines+markers",
            line={"dash": ("solid", "dash")[side], "color": _colour(demo, side)},
            marker={"size": 7, "symbol": ("circle", "diamond")[side]},
            hovertemplate="%{x} labels: %{y:.1f} %<extra></extra>",
        )
        for side, panel in enumerate(demo.panels)
    ]
    dotted = {"color": MIDDLE, "width": 1, "dash": "dot"}
    line = {"type": "line", "x0": 0, "x1": width, "y0": best, "y1": best, "line": dotted}
    lowest = min(best - 20, *(value - 1 for value in seen))
    across, up = _axis("labelled points", [0, width]), _axis("accuracy, %", [lowest, best + 4])
    return _figure(traces, xaxis=across, yaxis=up, shapes=[line])


def shares(demo: Demo) -> go.Figure:
    """How much of the policy's newest batch each expert would have chosen as well."""
    twins = demo.panels[0].strategy == demo.panels[1].strategy
    traces = [
        go.Bar(
            orientation="h",
            x=[panel.shares.get(name) for name in BARS],
            y=[NAMES.get(name, "any of them") for name in BARS],
            name=SIDES[side],
            width=0.4 if twins else 0.8,
            offset=0 if twins and side else -0.4,
            marker={"color": [COLOURS.get(name, MIDDLE) for name in BARS]},
            hovertemplate="%{y}: %{x:.0f} % of the batch<extra></extra>",
        )
        for side, panel in enumerate(demo.panels)
    ]
    title = "share of the policy's newest batch, %"
    across = _axis(title, [0, 100], tickvals=[0, 25, 50, 75, 100])
    up = _axis("", [len(BARS) - 0.4, -0.6], showgrid=False)
    return _figure(traces, xaxis=across, yaxis=up, margin={"l": 84})


def _figure(traces: Sequence[Any], **layout: Any) -> go.Figure:
    common = {
        "margin": {"l": 50, "r": 52, "t": 8, "b": 38, "autoexpand": False},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"size": 12},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "white", "bordercolor": MIDDLE},
    }
    return go.Figure(traces, common).update_layout(layout)


def _axis(title: str, span: Sequence[float], **more: Any) -> dict[str, Any]:
    lines = {"gridcolor": FAINT, "linecolor": MIDDLE, "showline": True, "zeroline": False}
    place = {"range": list(span), "fixedrange": True}
    return {"title": {"text": title, "standoff": 6}, **place, **lines, **more}


def _title(demo: Demo, side: int) -> str:
    """Heading of a plane: the side, its strategy, and how good it is."""
    panel = demo.panels[side]
    name = f"{SIDES[side].capitalize()}: {NAMES[panel.strategy]}"
    return f"<b>{name}</b> <span>{panel.numbers()}</span>"


def _note(demo: Demo) -> str:
    """Heading of the bars: whose they are, or why there are none."""
    chosen = [panel for panel in demo.panels if panel.strategy == "policy"]
    if not chosen:
        return "No panel shows the policy"
    if any(panel.shares for panel in chosen):
        return "What each expert would have chosen, too"
    return "The newest label is yours" if demo.steps else "The policy has chosen no batch yet"


def _tallest(demo: Demo) -> float:
    """The upper end of both histograms' axes, in %."""
    tallest = max(panel.histogram_C_B.sum(0).max() / len(panel.labelled) for panel in demo.panels)
    return max(40, 20 * math.ceil(5 * tallest)) + 2


def _histogram(panel: Panel, c: int) -> go.Bar:
    return go.Bar(
        x=(EDGES_X[1:] + EDGES_X[:-1]) / 2,
        y=100 * panel.histogram_C_B[c] / len(panel.labelled),
        yaxis="y2",
        marker={"color": CLASS_COLOURS[c], "line": {"width": 0}},
        hovertemplate=f"class {c}: %{{y:.0f}} % of the labels<extra></extra>",
    )


def _points(
    demo: Demo, name: str, points: np.ndarray | Sequence[int], marker: dict[str, Any], **more: Any
) -> go.Scatter:
    """Points by their indices, without those that do not exist."""
    inside = np.array([p for p in points if 0 <= p < len(demo.points_N_2)], dtype=np.int32)
    x, y = demo.points_N_2[inside].T
    score = ", score %{marker.color:.2f}" if marker.get("showscale") else ""
    hover = {"hovertemplate": f"point %{{customdata}}{score}<extra></extra>"}
    look = {"mode": "markers", "marker": marker, "name": name, **(more or hover)}
    return go.Scatter(x=x, y=y, customdata=inside, **look)


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


def _scored(score_U: np.ndarray | None) -> dict[str, Any]:
    """Grey dots; the policy's have the colour and the size of their score."""
    if score_U is None:
        return {"color": MIDDLE, "size": 4, "line": {"width": 0}}
    scale = {"colorscale": [[0, "#A0A0A0"], [1, POLICY_COLOURS[4]]], "cmin": 0, "cmax": 1}
    bar = {"thickness": 9, "len": 0.7, "y": 0.4, "x": 1.004, "xpad": 2, "tickvals": [0, 0.5, 1]}
    bar |= {"title": {"text": "score", "side": "right", "font": {"size": 11}}, "outlinewidth": 0}
    look = {"color": score_U, "size": 3 + 5 * score_U, "line": {"width": 0}}
    return look | scale | {"showscale": True, "colorbar": bar}


def _colour(demo: Demo, side: int) -> str:
    """Of a side's accuracies: its strategy's, or grey for random and the second of two alike."""
    panel = demo.panels[side]
    twins = demo.panels[0].strategy == demo.panels[1].strategy
    # Black is not seen on a dark page.
    return MIDDLE if panel.strategy == "random" or (twins and side) else COLOURS[panel.strategy]
