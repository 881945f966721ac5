"""Labelling in real JupyterLab and Voila, by keyboard, through a kernel restart."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import browser
import nbformat
import pytest
from playwright.sync_api import Locator, Page

from ialelib import data
from ialelib.labelling.store import LabelStore
from ialelib.labelling.view import KEYS, picture

pytestmark = pytest.mark.skipif(not browser.CHROMIUM, reason=browser.MISSING)

# The last three have the keys a, b and c, with which JupyterLab inserts and copies cells.
CLASSES = [*(f"digit {number}" for number in range(10)), "blank", "torn", "upside down"]
# With more threads than free cores OpenBLAS takes a hundred times as long.
SETUP = f"""
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
from sklearn.linear_model import LogisticRegression
from ialelib import Labeller, LabelStore, load_data
digits = load_data("mnist-10k")
train, test = (images.reshape(len(images), -1) / 255
               for images in (digits.train_inputs, digits.test_inputs))
known = range(20), digits.train_labels[:20]
store = LabelStore("labels.db", {CLASSES})
def fit(labelled, labels):
    return LogisticRegression(max_iter=500).fit(train[labelled], labels)
def score(labelled, labels):
    return fit(labelled, labels).score(test, digits.test_labels)
def choose(labelled, labels):
    confidence = fit(labelled, labels).predict_proba(train).max(1)
    confidence[labelled] = 1
    return np.argsort(confidence)
"""
SHOW = "Labeller(digits.train_inputs, {classes}, store, choose, score, {batch}, *known)"


class Reader:
    """Someone at the keyboard, who notes which image was framed at each key."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.given: dict[int, int] = {}
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.strangers = browser.strangers(page)

    @property
    def widget(self) -> Locator:
        return self.page.locator(".iale-labelling:not([data-old])")

    def wait_for_batch(self, number: int) -> None:
        self.page.locator(f'.iale-labelling:not([data-old])[data-batch="{number}"]').wait_for()

    def framed(self) -> int:
        """Index of the framed image, after a look at whether it is the one shown."""
        image = self.widget.locator('[aria-selected="true"] img')
        index = number_in(image)
        wanted = picture(index, data.load_data("mnist-10k").train_inputs[index])
        assert image.get_attribute("src") == wanted["src"]
        return index

    def press(self, keys: str) -> None:
        for key in keys:
            self.given[self.framed()] = KEYS.index(key)
            self.page.keyboard.press(key)

    def wait_until_saved(self, labels: int) -> None:
        self.widget.get_by_text(f"{labels} of ").and_(self.page.get_by_text(", saved")).wait_for()

    def next_batch(self, number: int) -> None:
        self.page.keyboard.press("Enter")
        self.wait_for_batch(number)

    def stored(self) -> dict[int, int]:
        store = LabelStore(self.folder / "labels.db", CLASSES)
        return dict(zip(store.labelled.tolist(), store.labels.tolist(), strict=True))

    def check(self, labels: int) -> None:
        assert len(self.given) == labels
        assert self.stored() == self.given
        assert self.errors == []
        assert self.strangers == []


def number_in(image: Locator) -> int:
    found = re.match(r"image (\d+), ", image.get_attribute("alt") or "")
    assert found
    return int(found[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("lab")
    with browser.jupyterlab(folder) as address:
        yield address, folder


@pytest.fixture
def reader(lab: tuple[str, Path]) -> Iterator[Reader]:
    with browser.chromium() as page:
        yield Reader(page, lab[1])
    lab[1].joinpath("labels.db").unlink()


def open_notebook(reader: Reader, address: str, name: str, batch: int) -> None:
    show = SHOW.format(classes=CLASSES, batch=batch)
    browser.write_notebook(reader.folder / f"{name}.ipynb", SETUP, show)
    reader.page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb")
    browser.run_all(reader.page)
    reader.wait_for_batch(1)


def cells(path: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in nbformat.read(path, as_version=4).cells]


def menu(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("menuitem", name=name).first.click()


def test_thirty_labels_by_keyboard_survive_a_restart(reader: Reader, lab: tuple[str, Path]) -> None:
    open_notebook(reader, lab[0], "session", batch=10)
    page, path = reader.page, reader.folder / "session.ipynb"
    before = cells(path)
    reader.widget.get_by_role("option").first.click()
    reader.press("0123456abc")
    reader.next_batch(2)
    reader.press("90817")
    reader.wait_until_saved(5)

    reader.widget.evaluate("widget => widget.dataset.old = true")
    menu(page, "Kernel", "Restart Kernel and Run All Cells")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    reader.wait_for_batch(2)
    assert len(reader.stored()) == 15
    reader.widget.locator('[aria-selected="true"]').click()
    reader.press("26354")
    reader.next_batch(3)
    page.keyboard.type("mvx")  # no keys here, but "to text", "paste" and "cut" in JupyterLab
    reader.press("1111122222")
    reader.wait_until_saved(10)
    reader.check(30)
    assert len(LabelStore(reader.folder / "labels.db", CLASSES).scores) == 3
    assert reader.widget.locator(".plot circle").count() == 3

    menu(page, "File", "Save Notebook")
    page.locator(".jp-mod-dirty").wait_for(state="detached")
    assert cells(path) == before
    # Outside the widget the same keys do change the notebook.
    page.locator(".jp-InputPrompt").first.click()
    page.keyboard.press("b")
    page.locator(".jp-Notebook-cell").nth(2).wait_for()


def test_fast_typing_loses_and_mixes_up_nothing(reader: Reader, lab: tuple[str, Path]) -> None:
    open_notebook(reader, lab[0], "fast", batch=30)
    images = [number_in(image) for image in reader.widget.locator("img").all()]
    keys = (KEYS[: len(CLASSES)] * 3)[:30]
    reader.widget.get_by_role("option").first.click()
    reader.page.keyboard.type(keys[:20])
    for _ in range(3):
        reader.page.keyboard.press("Backspace")
    reader.page.keyboard.type(keys[17:] + "55555")  # the last five have no image
    reader.wait_until_saved(30)
    reader.given = {image: KEYS.index(key) for image, key in zip(images, keys, strict=True)}
    reader.check(30)
    assert list(reader.stored()) == images
    option = f"image {images[3]}, labelled {CLASSES[3]}"
    assert reader.widget.get_by_role("option", name=option).count() == 1


def focused(page: Page) -> str:
    """Name of the focused button or image, which must be seen to have the focus."""
    name, ring = page.evaluate(
        """() => {
          const at = document.activeElement;
          const text = at.querySelector(".name")?.textContent ?? at.querySelector("img").alt;
          return [text, getComputedStyle(at).outlineStyle];
        }"""
    )
    assert ring == "solid"
    return str(name)


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    for _ in range(20):
        page.keyboard.press(key)
        if focused(page) == name:
            return
    raise AssertionError(f"{name} is not reached with {key}")


def layout(widget: Locator) -> list[list[float]]:
    """Place within the widget, width and height of every part of it."""
    places: list[list[float]] = widget.evaluate(
        """widget => {
          const from = widget.getBoundingClientRect();
          return [...widget.querySelectorAll("div, img, button, svg")].map((part) => {
            const box = part.getBoundingClientRect();
            return [box.x - from.x, box.y - from.y, box.width, box.height].map(Math.round);
          });
        }"""
    )
    return places


def test_tab_enter_and_space_suffice(reader: Reader, lab: tuple[str, Path]) -> None:
    open_notebook(reader, lab[0], "tab", batch=3)
    page, keyboard = reader.page, reader.page.keyboard
    images = [number_in(image) for image in reader.widget.locator("img").all()]
    boxes = layout(reader.widget)
    reader.widget.get_by_role("option").first.focus()
    tab_to(page, CLASSES[4])
    keyboard.press("Space")
    keyboard.press("Enter")
    tab_to(page, CLASSES[6])
    keyboard.press("Space")
    reader.wait_until_saved(3)
    assert layout(reader.widget) == boxes
    tab_to(page, "Undo")
    keyboard.press("Enter")
    reader.wait_until_saved(2)
    keyboard.press("Enter")  # the focus has left the button
    reader.wait_until_saved(2)
    tab_to(page, "Previous image")
    keyboard.press("Space")
    tab_to(page, CLASSES[9], "Shift+Tab")
    assert reader.framed() == images[1]
    keyboard.press("Space")
    keyboard.press("Space")
    reader.wait_until_saved(3)
    tab_to(page, "Next batch")
    reader.given = dict(zip(images, (4, 9, 9), strict=True))
    reader.check(3)
    reader.next_batch(2)
    assert "not labelled yet" in focused(page)
    tab_to(page, CLASSES[9])
    for _ in range(3):
        keyboard.press("Space")
    reader.wait_until_saved(3)
    reader.next_batch(3)  # by Enter, which has no other meaning on a class button by now


def test_unsure_skip_correct_save_and_a_restart_that_is_said(
    reader: Reader, lab: tuple[str, Path]
) -> None:
    open_notebook(reader, lab[0], "again", batch=3)
    page, keyboard, widget = reader.page, reader.page.keyboard, reader.widget
    images = [number_in(image) for image in widget.locator("img").all()]
    widget.get_by_role("option").first.click()
    keyboard.type("?1-2")
    widget.get_by_text("2 of 3 labelled; 1 skipped").wait_for()
    reader.next_batch(2)
    keyboard.press("PageUp")
    reader.wait_for_batch(1)
    keyboard.press("ArrowRight")
    keyboard.press("5")
    widget.get_by_text("3 of 3 labelled").wait_for()
    keyboard.press("Enter")
    reader.wait_for_batch(2)
    store = LabelStore(reader.folder / "labels.db", CLASSES)
    table = store.table.set_index("index")
    assert table["class"].to_dict() == dict(
        zip(images, ("digit 0", "digit 4", "digit 1"), strict=True)
    )
    assert table["unsure"].tolist().count(True) == 1
    assert len(store.history) == 4
    keyboard.press("Control+s")
    page.locator(".jp-mod-dirty").wait_for(state="detached")
    widget.get_by_role("button", name="Export CSV").click()
    widget.get_by_text("3 labels are in labels.csv").wait_for()
    menu(page, "Kernel", "Restart Kernel…")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    widget.get_by_text("The kernel was restarted").wait_for()
    widget.get_by_role("option").first.click()
    keyboard.type("1")
    assert widget.get_by_role("status").get_by_text("0 of 3 labelled").count() == 1
    assert reader.errors == []


def test_forty_classes_of_long_names_are_typed(reader: Reader, lab: tuple[str, Path]) -> None:
    names = [f"dark-eyed junco, female, immature, number {n}" for n in range(40)]
    show = SHOW.format(classes=names, batch=3)
    setup = SETUP.replace(str(CLASSES), str(names))
    browser.write_notebook(reader.folder / "many.ipynb", setup, show)
    reader.page.goto(f"{lab[0]}/lab/workspaces/many/tree/many.ipynb")
    browser.run_all(reader.page)
    reader.wait_for_batch(1)
    reader.widget.get_by_role("option").first.click()
    for typed in ("number 31", "ber 7x", "32"):
        reader.page.keyboard.type(typed)
        reader.page.keyboard.press("Enter")  # takes no class where none fits
        reader.page.keyboard.press("Escape")
    reader.wait_until_saved(2)
    store = LabelStore(reader.folder / "labels.db", names)
    assert store.labels.tolist() == [31, 32]
    assert reader.widget.locator(".caption").all_inner_texts()[:2] == [
        "✓ dark…er 31",
        "✓ dark…er 32",
    ]
    widths = "captions => captions.map(each => each.scrollWidth - each.clientWidth)"
    assert max(reader.widget.locator(".caption").evaluate_all(widths)) <= 0


def test_voila_shows_the_same_widget(tmp_path: Path) -> None:
    show = SHOW.format(classes=CLASSES, batch=3)
    browser.write_notebook(tmp_path / "page.ipynb", SETUP, show)
    port = browser.free_port()
    address = f"http://127.0.0.1:{port}/"
    command = [*(sys.executable, "-m", "voila", "page.ipynb", "--no-browser", f"--port={port}")]
    with (
        browser.served(command, tmp_path, f"{address}voila/static/voila.js"),
        browser.chromium() as page,
    ):
        reader = Reader(page, tmp_path)
        page.goto(address)
        reader.wait_for_batch(1)
        reader.widget.get_by_role("option").first.click()
        reader.press("123")
        reader.next_batch(2)
        assert reader.stored() == reader.given
        assert len(reader.given) == 3
        assert reader.errors == []
