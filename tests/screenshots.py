"""Pictures of both widgets to look at: `python tests/screenshots.py FOLDER`.

The toy demo in JupyterLab and Voila, light and dark, 1280 and 1920 wide, after eight steps; the
labelling widget in its eighth batch. `toy_demo.png` and `labelling.png` are those
that README and notebooks show (figures/demo).
"""

import sys
import tempfile
from itertools import takewhile
from pathlib import Path

import browser
import nbformat
from demo_page import voila
from playwright.sync_api import Page

from ialelib import data
from ialelib.labelling.view import KEYS

LABELLER = """store = iale.LabelStore("labels.sqlite", CLASSES)
iale.Labeller(pool.train_inputs, CLASSES, store, choose, score, settings.acq, labelled, labels)"""
STEPS = 8  # of the demo, and batches of the labelling widget
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
    browser.write_notebook(work / "demo.ipynb", "import ialelib as iale\n\niale.toy_demo()")
    with browser.jupyterlab(work, dark) as address:
        for width, height in SIZES:
            with browser.chromium(width, height, dark) as page:
                page.goto(f"{address}/lab/tree/demo.ipynb?reset")
                browser.run_all(page)
                step(page)
                page.locator(".ialelib-plots").scroll_into_view_if_needed()
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


def labelling(folder: Path, dark: bool) -> None:
    """The widget of 17_labelling; the data set's labels play the person at the keyboard."""
    work = Path(tempfile.mkdtemp())
    cells = nbformat.read(browser.ROOT / "notebooks/17_labelling.ipynb", 4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    needed = takewhile(lambda source: "iale.Labeller(" not in source, sources)
    browser.write_notebook(work / "own.ipynb", *needed, LABELLER)
    labels = data.load_data("fmnist-10k").train_labels
    with (
        browser.jupyterlab(work, dark) as address,
        browser.chromium(1500, 900, dark) as page,
    ):
        page.goto(f"{address}/lab/tree/own.ipynb?reset")
        browser.run_all(page)
        for batch in range(1, STEPS + 1):
            page.locator(f'.iale-labelling[data-batch="{batch}"]').wait_for()
            page.locator('.iale-labelling [role="option"]').first.click()
            for _ in range(10 if batch < STEPS else 7):
                alt = page.locator('[aria-selected="true"] img').get_attribute("alt") or ""
                page.keyboard.press(KEYS[labels[int(alt.split(",")[0].removeprefix("image "))]])
            if batch < STEPS:
                page.keyboard.press("Enter")
        page.get_by_text("7 of 10 labelled").wait_for()
        page.get_by_text(", saved").wait_for()
        name = "labelling.png" if not dark else "labelling-dark.png"
        page.locator(".iale-labelling").screenshot(path=folder / name)


def theme(dark: bool) -> str:
    """What Voila and the files' names call it."""
    return "dark" if dark else "light"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for night in (False, True):
        labelling(target, night)
        in_voila(target, night)
        in_lab(target, night)
