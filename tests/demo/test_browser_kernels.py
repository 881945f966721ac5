"""What `make demo` leaves behind when its page is reloaded, closed or killed; whom it serves."""

import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import browser
import psutil
import pytest
from demo_page import voila
from playwright.sync_api import Page
from toys import ROUNDS

pytestmark = pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.MISSING)
PROMISED = 30  # seconds until the kernel of a page that is gone ends
RELOADS = 20 if ROUNDS > 1 else 6
DIRECT = build_opener(ProxyHandler({}))


def running(program: str) -> list[psutil.Process]:
    """Processes below this one that run a program."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any(program in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:  # ended meanwhile
            continue
    return found


def kernels() -> int:
    return len(running("ipykernel_launcher"))


def server_mb() -> float:
    return max(process.memory_info().rss for process in running("voila/demo.ipynb")) / 2**20


def all_end() -> None:
    end = time.monotonic() + PROMISED
    while kernels() and time.monotonic() < end:
        time.sleep(0.2)
    assert kernels() == 0


def load(page: Page, address: str) -> None:
    page.goto(address)
    page.locator(".scatterlayer .point").first.wait_for()


def test_reloads_leave_one_kernel_and_no_memory(tmp_path: Path) -> None:
    with voila(tmp_path) as address, browser.chromium() as page:
        used = []
        for _ in range(RELOADS):
            load(page, address)
            assert kernels() <= 2  # that of the page before may be ending
            used.append(server_mb())
        assert used[-1] < used[2] + 40
        page.goto("about:blank")
        all_end()


def test_a_page_that_is_left_while_it_loads_takes_its_kernel_along(tmp_path: Path) -> None:
    with voila(tmp_path) as address, browser.chromium() as page:
        page.goto(address, wait_until="commit")
        page.locator("#jupyter-config-data").wait_for(state="attached")
        assert kernels() == 1
        page.goto("about:blank")
        all_end()
    log = (tmp_path / ".server.log").read_text()
    assert "Culling kernels with idle durations > 120 seconds" in log  # the killed pages' ones


@pytest.mark.parametrize("host", ["example.org", "10.0.0.1:8866"])
def test_only_names_of_this_machine_are_served(tmp_path: Path, host: str) -> None:
    with voila(tmp_path) as address:
        with pytest.raises(HTTPError, match="403"):
            DIRECT.open(Request(address, headers={"Host": host}))
        assert kernels() == 0
