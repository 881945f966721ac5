"""The toy demo's widget without a browser: what its controls do, and what it says."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ialelib.demo import figure as demo_plots
from ialelib.demo import widget
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {"samples": 120, "initial": 10, "n": 40}


@pytest.fixture
def demo() -> Any:
    return widget.toy_demo(**SMALL)


def shown(demo: Any, name: str, side: int) -> Any:
    return demo_plots.trace(demo.figure, name, side)


def test_step_adds_a_batch_and_says_so(demo: Any) -> None:
    assert demo.status.value.startswith("Step 0. Left panel, Random: 10 labels")
    demo.step.click()
    assert demo.status.value.startswith("Step 1. Left panel, Random: 20 labels, accuracy ")
    assert demo.message.value == ""


def test_the_figure_shows_every_point_once_in_each_panel(demo: Any) -> None:
    for _ in range(2):
        demo.step.click()
        for side in (0, 1):
            parts = [shown(demo, name, side).customdata for name in demo_plots.CLICKABLE]
            assert sorted(np.concatenate(parts)) == list(range(120))
            assert len(shown(demo, "newest", side).x) == 10


def test_labelled_unlabelled_and_new_points_differ_in_shape_or_size(demo: Any) -> None:
    demo.step.click()
    zero, one, newest = (shown(demo, name, 0).marker for name in ("class 0", "class 1", "newest"))
    assert {zero.symbol, one.symbol} == {"circle", "square"}
    assert set(newest.symbol) <= {"circle-x", "square-x"}
    assert shown(demo, "unlabelled", 0).marker.size < zero.size < newest.size


def test_the_policys_panel_shows_scores_and_shares(demo: Any) -> None:
    demo.step.click()
    panel = demo.demo.panels[1]
    assert np.allclose(shown(demo, "unlabelled", 1).marker.color, panel.score_U)
    assert shown(demo, "unlabelled", 1).marker.showscale
    assert not shown(demo, "unlabelled", 0).marker.showscale
    assert list(shown(demo, "shares", 1).x) == list(panel.shares.values())
    assert shown(demo, "shares", 1).visible
    assert not shown(demo, "shares", 0).visible


def test_a_page_that_is_reloaded_shows_what_is_now(demo: Any) -> None:
    demo.step.click()
    demo.point.value = 7
    state = demo.figure.get_state()
    kept = {part["meta"]: part for part in state["_widget_data"] if "meta" in part}
    assert sorted(sent(kept["left newest"]["customdata"])) == sorted(demo.demo.panels[0].newest)
    assert sent(kept["right chosen"]["customdata"]) == [7]
    assert "20 labels" in state["_widget_layout"]["annotations"][0]["text"]


def sent(array: dict[str, Any]) -> list[int]:
    """The numbers of an array as Plotly's widget sends it to a page."""
    numbers: list[int] = np.frombuffer(array["buffer"], array["dtype"]).tolist()
    return numbers


def test_histograms_grow_where_their_bars_do() -> None:
    demo = widget.toy_demo("entropy", overlap=0.6)
    demo.step.click()
    panel, layout = demo.demo.panels[0], demo.figure.layout
    tallest = 100 * panel.histogram_C_B.sum(0).max() / len(panel.labelled)
    assert layout.yaxis3.range[1] > tallest > 42
    assert layout.yaxis4.range == layout.yaxis3.range


def test_steps_keep_the_figure_its_traces_and_its_ranges(demo: Any) -> None:
    figure, traces = demo.figure, len(demo.figure.data)
    layout = demo.figure.layout.to_plotly_json()
    demo.step.click()
    after = demo.figure.layout.to_plotly_json()
    assert demo.figure is figure
    assert len(figure.data) == traces
    for name in layout:
        if name not in ("annotations", "shapes"):
            assert after[name] == layout[name]


def test_reset_returns_to_the_initial_labels(demo: Any) -> None:
    first = demo.status.value
    demo.step.click()
    demo.reset.click()
    assert demo.status.value == first
    assert len(shown(demo, "newest", 0).x) == 0


def test_another_strategy_overlap_or_seed_starts_anew(demo: Any) -> None:
    demo.left.value = "coreset"
    assert demo.status.value.startswith("Step 0. Left panel, CoreSet: 10 labels")
    points = demo.demo.points_N_2
    demo.overlap.value = 0.5
    assert "Best possible accuracy: 75.0 %" in demo.status.value
    demo.seed.value = "7"
    assert not np.array_equal(demo.demo.points_N_2, points)


def click(demo: Any, name: str, side: int, position: int) -> int:
    trace = shown(demo, name, side)
    point = int(trace.customdata[position])
    (handler,) = trace._click_callbacks
    place = SimpleNamespace(xs=[float(trace.x[position])], ys=[float(trace.y[position])])
    handler(trace, place, None)
    return point


def test_a_click_labels_the_point_in_that_panel_only(demo: Any) -> None:
    point = click(demo, "unlabelled", 1, 3)
    assert "Left panel, Random: 10 labels" in demo.status.value
    assert "Right panel, IALE policy: 11 labels" in demo.status.value
    assert point in demo.demo.panels[1].labelled
    assert f"Point {point} at" in demo.where.value
    assert click(demo, "newest", 1, 0) == point
    assert demo.message.value == f"Point {point} is labelled already in the right panel."


def test_a_click_on_a_page_that_is_a_step_behind_labels_the_point_it_shows(demo: Any) -> None:
    x, y = (float(shown(demo, "unlabelled", 1).__getitem__(axis)[50]) for axis in "xy")
    point = int(shown(demo, "unlabelled", 1).customdata[50])
    demo.step.click()
    before = len(demo.demo.panels[1].labelled)
    (handler,) = shown(demo, "unlabelled", 1)._click_callbacks
    handler(shown(demo, "unlabelled", 1), SimpleNamespace(xs=[x], ys=[y]), None)
    assert demo.point.value == point
    said = f"Point {point} is labelled already in the right panel."
    assert (demo.message.value == said) or len(demo.demo.panels[1].labelled) == before + 1


def test_a_point_is_chosen_ringed_and_labelled_without_a_mouse(demo: Any) -> None:
    point = int(demo.demo.panels[1].unlabelled[5])
    demo.side.value, demo.point.value = 1, point
    assert shown(demo, "chosen", 0).customdata.tolist() == [point]
    assert "right unlabelled with score 0." in demo.where.value
    demo.add.click()
    assert "right labelled" in demo.where.value
    assert "IALE policy: 11 labels" in demo.status.value


@pytest.mark.parametrize(
    ("control", "value", "good", "message"),
    [
        ("overlap", 0.0, 0.3, "The overlap must lie above 0 and below 1, not 0."),
        ("overlap", 1.0, 0.3, "The overlap must lie above 0 and below 1, not 1."),
        ("acq", 0, 5, "The acquisition size must be 1 or more, not 0."),
        ("acq", 500, 5, "Acquisition size 500 exceeds the pool: 110 unlabelled points are left."),
        ("n", 3, 30, "Acquisition size 10 exceeds the sub-pool of n = 3; raise n, or lower"),
        ("seed", "seven", "7", "The seed must be a whole number from 0, not 'seven'."),
        ("seed", "-1", "7", "The seed must be a whole number from 0, not '-1'."),
    ],
)
def test_bad_input_gives_a_message_and_leaves_all_as_it_was(
    demo: Any, control: str, value: Any, good: Any, message: str
) -> None:
    before = demo.status.value
    getattr(demo, control).value = value
    demo.step.click()
    assert demo.message.value.startswith(message)
    assert demo.status.value == before
    getattr(demo, control).value = good
    demo.step.click()
    assert demo.message.value == ""
    assert demo.status.value.startswith("Step 1.")


@pytest.mark.parametrize("point", [-1, 120])
def test_a_point_that_is_not_there_gives_a_message(demo: Any, point: int) -> None:
    demo.point.value = point
    assert demo.where.value == f"There is no point {point}."
    assert len(shown(demo, "chosen", 0).x) == 0
    demo.add.click()
    assert demo.message.value == f"There is no point {point}; points are numbered 0 to 119."


def test_a_message_stays_while_a_control_is_wrong(demo: Any) -> None:
    demo.overlap.value = 0
    demo.point.value = 5
    demo.add.click()
    assert demo.message.value == "The overlap must lie above 0 and below 1, not 0."
    demo.overlap.value = 0.3
    assert demo.message.value == ""


def test_an_exhausted_pool_gives_a_message_until_reset(demo: Any) -> None:
    demo.acq.value, demo.n.value = 110, 200
    demo.step.click()
    assert "Random: 120 labels" in demo.status.value
    demo.step.click()
    assert demo.message.value == (
        "The pool is exhausted: every point of the left panel is labelled; press Reset."
    )
    demo.reset.click()
    assert demo.message.value == ""
    assert "Random: 10 labels" in demo.status.value


def test_play_runs_until_it_is_paused_and_lets_others_work(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "PAUSE", 0.01)

    async def press() -> tuple[int, int]:
        demo.play.value = True
        assert demo.play.description == "Pause"
        while demo.demo.steps < 2:
            await asyncio.sleep(0)
        demo.play.value = False
        reached = demo.demo.steps
        await asyncio.sleep(0.1)
        return reached, demo.demo.steps

    reached, later = asyncio.run(press())
    assert reached == later == 2
    assert demo.play.description == "Play"


def test_play_ends_with_the_pool_and_reset_ends_it(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "PAUSE", 0.01)
    demo.acq.value = 40

    async def press() -> None:
        demo.play.value = True
        while demo.play.value:
            await asyncio.sleep(0.01)
        assert "exceeds the pool: 30 unlabelled points are left" in demo.message.value
        demo.play.value = True
        demo.reset.click()
        await asyncio.sleep(0.1)

    asyncio.run(press())
    assert demo.demo.steps == 0
    assert not demo.play.value


def test_two_policies_have_bars_side_by_side(demo: Any) -> None:
    demo.left.value = "policy"
    demo.step.click()
    left, right = (shown(demo, "shares", side) for side in (0, 1))
    assert left.visible
    assert left.offset + left.width == right.offset


def test_the_accuracy_axis_grows_when_labels_outgrow_it() -> None:
    demo = widget.toy_demo(samples=400, acq=300, n=400)
    assert demo.figure.layout.xaxis5.range == (0, 240)
    demo.step.click()
    assert demo.figure.layout.xaxis5.range == (0, 480)


def test_every_control_has_words() -> None:
    demo = widget.toy_demo(**SMALL)
    choices = (demo.left, demo.right, demo.overlap, demo.seed, demo.acq, demo.n)
    actions = (demo.step, demo.play, demo.reset, demo.side, demo.point, demo.add)
    for control in choices + actions:
        assert control.description
        assert control.tooltip


def test_the_caller_of_bad_arguments_gets_the_error() -> None:
    with pytest.raises(InputError, match="overlap must lie"):
        widget.toy_demo(overlap=0)
    with pytest.raises(InputError, match="unknown policy 'toi'; did you mean 'toy'"):
        widget.toy_demo(policy_name="toi")


@pytest.mark.parametrize("path", sorted(PROJECT.glob("notebooks/**/*.ipynb")), ids=lambda p: p.stem)
def test_no_notebook_holds_the_state_of_widgets(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert "widgets" not in notebook["metadata"]
    outputs = [out for cell in notebook["cells"] for out in cell.get("outputs", [])]
    kinds = {kind for out in outputs for kind in out.get("data", {})}
    assert "application/vnd.jupyter.widget-view+json" not in kinds


def test_the_page_for_voila_shows_the_demo() -> None:
    (cell,) = (
        cell
        for cell in json.loads((PROJECT / "notebooks/voila/demo.ipynb").read_text())["cells"]
        if cell["cell_type"] == "code"
    )
    source, last = "".join(cell["source"]).rsplit("\n", 1)
    names: dict[str, Any] = {}
    exec(source, names)
    assert isinstance(eval(last, names), widget.ToyDemo)
