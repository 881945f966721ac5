"""Held-out accuracy over labels as a small SVG that takes its colours from the page."""

from html import escape

import pandas as pd

WIDTH, HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 60, 14, 14, 44


def draw(scores: pd.DataFrame) -> str:
    """The SVG for `LabelStore.scores`; its size does not depend on them.

    Classes of its parts, which `labelling.css` colours: rule, curve, point.
    """
    last = max(10, int(scores["labels"].max()) if len(scores) else 0)
    ticks = [_percent(value) for value in (0, 0.25, 0.5, 0.75, 1)]
    ticks += [_count(value, last) for value in _round_steps(last)]
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


def _percent(value: float) -> str:
    y = _y(value)
    return (
        f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.0%}</text>'
    )


def _count(value: int, last: int) -> str:
    return (
        f'<text x="{_x(value, last):.1f}" y="{HEIGHT - BOTTOM + 16}" '
        f'text-anchor="middle">{value}</text>'
    )


def _round_steps(last: int) -> range:
    """Multiples of 1, 2 or 5 times a power of ten, at most six of them.

    >>> list(_round_steps(30)), list(_round_steps(10))
    ([0, 10, 20, 30], [0, 2, 4, 6, 8, 10])
    """
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if last // step <= 5:
                return range(0, last + 1, step)
        power *= 10
