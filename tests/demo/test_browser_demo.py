"""The toy demo in a real browser: what a reader presses, and what the page then shows."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import browser
import pytest
from demo_page import voila
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.MISSING)
CELL = "import ialelib as iale\n\niale.toy_demo()"
WAIT = 500 * browser.PATIENCE
CONTROLS = (
    *("Left strategy", "Right strategy", "Overlap", "Seed", "Acquisition size", "Sub-pool n"),
    *("Step", "Play", "Reset", "Your point", "Panel", "Point", "Label this point"),
)
ACTIVE = """() => {
  const at = document.activeElement;
  const box = at.closest('.jupyter-widgets');
  const label = box && box.querySelector('label');
  return at.tagName === 'BUTTON' ? at.innerText.trim() : label ? label.innerText.trim() : '';
}"""
LONELY = """() => {
  const first = 'figure:nth-of-type(2) .scatterlayer .trace:first-of-type path';
  const points = [...document.querySelectorAll(first)];
  const middles = points.map(point => {
    const box = point.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  });
  return middles.sort((one, other) => other[1] - one[1])[0];
}"""
PLACES = """() => {
  const parts = ['', ' .xtick text', ' .bglayer .bg', ' .cartesianlayer .bg'];
  const places = parts.map(part => '.js-plotly-plot' + part).join();
  return [...document.querySelectorAll(places)].map(element => {
    const box = element.getBoundingClientRect();
    return [box.x, box.y].map(Math.round);
  });
}"""


def status(page: Page, pattern: str, wait: float = WAIT) -> None:
    """Wait until the live line matches."""
    line = page.get_by_role("status").filter(has_text="Best possible")
    expect(line).to_have_text(re.compile(pattern), timeout=wait)


def message(page: Page, text: str) -> None:
    expect(page.get_by_role("alert").filter(has_text=text)).to_have_count(1, timeout=WAIT)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def a_step_moves_nothing(page: Page) -> None:
    status(page, "Step 0. Left panel, Entropy: 20 labels, accuracy")
    page.locator(".scatterlayer .point").first.wait_for()
    page.locator(".js-plotly-plot").evaluate_all("all => all.forEach(e => e.dataset.same = 'yes')")
    before = page.evaluate(PLACES)
    press(page, "Step")
    status(page, "Step 1. Left panel, Entropy: 30 labels, accuracy")
    status(page, "Right panel, IALE policy: 30 labels, accuracy .* %.*CoreSet .* %")
    expect(page.get_by_role("img", name=re.compile(r"^Step 1\."))).to_have_count(1)
    assert page.evaluate(PLACES) == before
    assert len(before) > 10
    assert page.locator(".js-plotly-plot[data-same=yes]").count() == 4


def play_and_pause(page: Page) -> None:
    press(page, "Play")
    status(page, r"Step ([3-9]|\d\d)\.")
    press(page, "Pause")
    page.get_by_role("button", name="Play", exact=True).wait_for()
    page.wait_for_timeout(500)
    reached = page.get_by_role("status").filter(has_text="Step").inner_text()
    page.wait_for_timeout(1500)
    assert page.get_by_role("status").filter(has_text="Step").inner_text() == reached
    press(page, "Reset")
    status(page, "Step 0. Left panel, Entropy: 20 labels")


def click_a_point(page: Page) -> None:
    """Plotly forgets what the mouse is over while it draws, and drops a click: click again then."""
    for _ in range(3):
        x, y = page.evaluate(LONELY)
        page.mouse.move(x - 40, y)
        page.mouse.move(x, y)
        page.locator(".hoverlayer .hovertext").first.wait_for()
        page.mouse.click(x, y)
        with suppress(AssertionError):
            return status(page, "Entropy: 20 labels.*Right panel, IALE policy: 21 labels", WAIT / 3)
    raise AssertionError("three clicks on a point label nothing")


def label_with_keys_alone(page: Page) -> None:
    """Tab through every control; then choose a point, and label it on the left."""
    page.get_by_label("Left strategy").focus()
    reached = [page.evaluate(ACTIVE)]
    for _ in range(30):
        if reached[-1] == "Point":
            break
        if reached[-1] == "Panel":  # the click before has chosen the right one
            page.keyboard.press("ArrowUp")
        page.keyboard.press("Tab")
        reached.append(page.evaluate(ACTIVE))
    for point in range(300):
        page.keyboard.press("Control+a")
        page.keyboard.type(str(point))
        page.keyboard.press("Tab")
        line = page.get_by_role("status").filter(has_text=f"Point {point} at")
        line.wait_for()
        if "left unlabelled" in line.inner_text():
            break
        page.keyboard.press("Shift+Tab")
    reached.append(page.evaluate(ACTIVE))
    assert set(CONTROLS) <= set(reached)
    page.keyboard.press("Enter")
    status(page, "Left panel, Entropy: 21 labels")


def keep_labels_given_by_hand(page: Page) -> None:
    """Both sides have one; a question comes before they are lost."""
    said = page.get_by_role("status").filter(has_text="Step").inner_text()
    for _ in range(2):
        press(page, "Reset")
        message(page, "Starting anew loses 2 labels given by hand.")
        assert page.get_by_role("status").filter(has_text="Step").inner_text() == said
        press(page, "Keep labels")
        expect(page.get_by_role("button", name="Keep labels")).to_be_hidden(timeout=WAIT)
    page.get_by_label("Left strategy").select_option("CoreSet")
    message(page, "Starting anew loses 2 labels given by hand.")
    press(page, "Start anew")
    status(page, "Step 0. Left panel, CoreSet: 20 labels")


def drag_the_overlap(page: Page) -> None:
    slide(page, 0.5)
    status(page, "Step 0..*Best possible accuracy: 7")
    slide(page, -0.1)
    message(page, "The overlap must lie above 0 and below 1, not 0.")
    press(page, "Step")
    message(page, "The overlap must lie above 0")
    slide(page, 0.3)
    status(page, "Step 0..*Best possible accuracy: 8")
    expect(page.get_by_role("alert").filter(has_text="overlap")).to_have_count(0)


def slide(page: Page, share: float) -> None:
    """Drag the slider's handle to a share of its width."""
    page.locator(".noUi-target").scroll_into_view_if_needed()
    bar = page.locator(".noUi-target").bounding_box()
    handle = page.locator(".noUi-handle").bounding_box()
    assert bar is not None
    assert handle is not None
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(bar["x"] + share * bar["width"], bar["y"] + 3, steps=4)
    page.mouse.up()


def ask_for_too_many(page: Page) -> None:
    size = page.get_by_label("Acquisition size")
    size.fill("5000")
    size.press("Tab")
    press(page, "Step")
    message(page, "Acquisition size 5000 exceeds the pool")
    size.fill("10")
    size.press("Tab")
    press(page, "Step")
    status(page, "Step 1.")
    assert "Traceback" not in page.inner_text("body")


PRESSES: tuple[Callable[[Page], None], ...] = (
    a_step_moves_nothing,
    play_and_pause,
    click_a_point,
    label_with_keys_alone,
    keep_labels_given_by_hand,
    drag_the_overlap,
    ask_for_too_many,
)


def test_in_jupyterlab(tmp_path: Path) -> None:
    browser.write_notebook(tmp_path / "demo.ipynb", CELL)
    with browser.jupyterlab(tmp_path) as address, browser.chromium() as page:
        page.goto(f"{address}/lab/tree/demo.ipynb")
        browser.run_all(page)
        for presses in PRESSES:
            presses(page)


def test_in_voila_without_a_word_to_other_machines(tmp_path: Path) -> None:
    with voila(tmp_path) as address, browser.chromium() as page:
        strangers = browser.strangers(page)
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(request.url))
        page.goto(address)
        for presses in PRESSES:
            presses(page)
        assert page.locator(".jp-CodeCell .jp-InputArea").count() == 0
    assert strangers == []
    assert failed == []
