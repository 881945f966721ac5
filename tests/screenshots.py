"""Pictures of the toy demo to look at: `python tests/screenshots.py FOLDER`.

In JupyterLab and Voila, light and dark, 1280 and 1920 wide, after eight steps. `toy_demo.png` is
the one that notebook 01 shows (figures/demo).
"""

import sys
import tempfile
from pathlib import Path

import browser
from demo_page import voila
from playwright.sync_api import Page

STEPS = 8
SIZES = ((1280, 900), (1920, 1080))


def step(page: Page) -> None:
    """Press Step, and wait for what it shows each time."""
    page.locator(".scatterlayer .point").first.wait_for()
    for number in range(1, STEPS + 1):
        page.get_by_role("button", name="Step", exact=True).click()
        page.get_by_role("status").filter(has_text=f"Step {number}.").wait_for()
    page.wait_for_timeout(1000)


def in_lab(folder: Path, dark: bool) -> None:
    """One picture for each width."""
    work = Path(tempfile.mkdtemp())
    browser.write_notebook(work / "demo.ipynb", "from ialelib import widgets\n\nwidgets.toy_demo()")
    with browser.jupyterlab(work, dark) as address:
        for width, height in SIZES:
            with browser.chromium(width, height, dark) as page:
                page.goto(f"{address}/lab/tree/demo.ipynb?reset")
                browser.run_all(page)
                step(page)
                page.locator(".js-plotly-plot").scroll_into_view_if_needed()
                page.screenshot(path=folder / f"lab-{theme(dark)}-{width}.png")


def in_voila(folder: Path, dark: bool) -> None:
    """One picture for each width, and one of the demo alone."""
    with voila(Path(tempfile.mkdtemp()), theme(dark)) as address:
        for width, height in SIZES:
            with browser.chromium(width, height, dark) as page:
                page.goto(address)
                step(page)
                page.screenshot(path=folder / f"voila-{theme(dark)}-{width}.png", full_page=True)
                if not dark and width == SIZES[0][0]:
                    page.locator(".ialelib-demo").screenshot(path=folder / "toy_demo.png")


def theme(dark: bool) -> str:
    """What Voila and the files' names call it."""
    return "dark" if dark else "light"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for night in (False, True):
        in_voila(target, night)
        in_lab(target, night)
