"""The index in JupyterLab: its links to folders open."""

from pathlib import Path

import browser
import pytest

FOLDERS = {"policies": "Trained policies", "figures/cpu": "Published results"}


@pytest.mark.skipif(not browser.CHROMIUM, reason=browser.MISSING)
def test_links_to_folders_open_in_jupyterlab(tmp_path: Path) -> None:
    for name in ("notebooks", "policies", "figures"):
        (tmp_path / name).symlink_to(browser.ROOT / name)
    with browser.jupyterlab(tmp_path) as address:
        for name, title in FOLDERS.items():
            with browser.chromium() as page:
                page.goto(f"{address}/lab/tree/notebooks/00_index.ipynb?reset")
                page.locator("#jp-main-statusbar").get_by_text(") | Idle").wait_for()
                page.locator(".jp-Notebook").get_by_role("link", name=name, exact=True).click()
                shown = page.locator(".jp-MarkdownViewer, .jp-Dialog").first
                heading = shown.get_by_role("heading", name=title)
                heading.first.wait_for()
                assert heading.count() == 1
