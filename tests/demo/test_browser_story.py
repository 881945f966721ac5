"""How the page of `make demo` looks: what it tells first, in a window and on a telephone."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import browser
import pytest
from demo_page import voila
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.MISSING)
TEXTS = "label, input, select, button, figcaption, .ialelib-key, .ialelib-alert, .main-svg text"
BOXES = """parts => parts.map(part => {
  const { left, right, top, bottom, width } = part.getBoundingClientRect();
  return { left, right, top, bottom, width, text: part.textContent };
}).filter(box => box.width > 1)"""  # what only screen readers get is a pixel wide
OVERLAPS = f"""parts => {{
  const boxes = ({BOXES})(parts);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return boxes.flatMap((a, i) => boxes.slice(i + 1)
    .filter(b => meet(a, b)).map(b => a.text + " | " + b.text));
}}"""
COLOURS = """() => [
  getComputedStyle(document.querySelector(".contourlayer path")).stroke,
  getComputedStyle(document.querySelector(".ialelib-key.boundary"), "::before").borderTopColor,
]"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with voila(tmp_path_factory.mktemp("voila")) as served:
        yield served


def load(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".ialelib-plots .contourlayer path").nth(1).wait_for()


def ask(page: Page) -> None:
    """Label a point by hand, and be asked whether to lose it: all that can be shown is."""
    page.get_by_role("button", name="Your point").click()
    page.get_by_role("button", name="Label this point").click()
    page.get_by_role("status").filter(has_text="21 labels").wait_for()
    page.get_by_role("button", name="Reset").click()
    page.get_by_role("button", name="Keep labels").wait_for()


def boxes(page: Page, selector: str) -> list[dict[str, float]]:
    found: list[dict[str, float]] = page.locator(selector).evaluate_all(BOXES)
    assert found
    return found


def overlaps(page: Page) -> list[str]:
    """Pairs of texts and controls that cover each other."""
    found: list[str] = page.locator(f".ialelib-demo :is({TEXTS})").evaluate_all(OVERLAPS)
    return found


def test_all_is_above_the_fold_with_one_row_of_controls(address: str) -> None:
    with browser.chromium(1280, 900) as page:
        load(page, address)
        for do in (lambda page: None, ask):
            do(page)
            parts = boxes(page, "h1, .ialelib-demo > *, .ialelib-demo figure")
            assert max(part["bottom"] for part in parts) <= 900
            assert max(part["right"] for part in parts) <= 1280
            controls = boxes(page, ".ialelib-controls > *")
            assert max(part["top"] for part in controls) < min(part["bottom"] for part in controls)
            assert overlaps(page) == []


def test_narrow_screens_stack_the_plots_without_overlaps(address: str) -> None:
    with browser.chromium(390, 844) as page:
        load(page, address)
        for do in (lambda page: None, ask):
            do(page)
            plots = boxes(page, ".ialelib-plots figure")
            assert len({plot["left"] for plot in plots}) == 1
            assert all(above["bottom"] <= below["top"] for above, below in pairwise(plots))
            assert max(part["right"] for part in boxes(page, ".ialelib-demo *")) <= 390
            assert overlaps(page) == []


def test_the_page_says_the_claim_and_both_means_and_hides_your_point(address: str) -> None:
    with browser.chromium() as page:
        load(page, address)
        claim = page.get_by_text("The paper claims that")
        expect(claim).to_contain_text("watch where each side's newest batch falls")
        assert claim.inner_text().count(".") == 1
        for heading in page.locator(".ialelib-plane figcaption").all():
            expect(heading).to_contain_text("20 labels, accuracy 8")
            expect(heading).to_contain_text("mean so far 8")
        own = page.get_by_label("Point", exact=True)
        key = page.get_by_text("your point", exact=True).and_(page.locator(".ialelib-key"))
        ring = page.locator(".scatterlayer path.point[d*='A9.5']")
        for there, press in ((False, True), (True, True), (False, False)):
            expect(own).to_be_visible(visible=there)
            expect(key).to_be_visible(visible=there)
            expect(ring).to_have_count(2 * there)
            if press:
                page.get_by_role("button", name="Your point").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_boundary_has_one_colour_in_plot_and_legend(tmp_path: Path, theme: str) -> None:
    with voila(tmp_path, theme) as address, browser.chromium() as page:
        load(page, address)
        plot, legend = page.evaluate(COLOURS)
        assert plot == legend


def test_a_reload_asks_before_labels_given_by_hand_are_lost(address: str) -> None:
    with browser.chromium() as page:
        load(page, address)
        page.get_by_role("button", name="Your point").click()
        page.get_by_role("button", name="Label this point").click()
        page.locator(".ialelib-by-hand").wait_for()
        with page.expect_event("dialog") as asked:
            page.evaluate("() => { setTimeout(() => location.reload()); }")
        asked.value.dismiss()
        page.get_by_role("button", name="Step", exact=True).click()
        page.get_by_role("status").filter(has_text="Step 1.").wait_for()
        page.on("dialog", lambda dialog: dialog.accept())
        page.reload()
        page.get_by_role("status").filter(has_text="Step 0.").wait_for()
