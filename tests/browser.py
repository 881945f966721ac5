"""A real browser and real servers for tests: headless Chromium and JupyterLab on localhost."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import nbformat
import psutil
from playwright.sync_api import Page, Request, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "no Chromium on this machine (Debian: apt-get install chromium)"
ROOT = Path(__file__).parents[1]
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PATIENCE = 120  # seconds; continuous integration may be busy with other tests


@contextmanager
def chromium(width: int = 1280, height: int = 900, dark: bool = False) -> Iterator[Page]:
    """A page of a headless Chromium that reaches this machine and no other."""
    assert CHROMIUM, MISSING
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page.set_default_timeout(1000 * PATIENCE)
        expect.set_options(timeout=1000 * PATIENCE)
        try:
            yield page
        finally:
            browser.close()


def strangers(page: Page) -> list[str]:
    """A list that will hold every address outside this machine that the page asks for."""
    found: list[str] = []

    def note(request: Request) -> None:
        address = request.url
        if address.startswith(("http", "ws")) and "://127.0.0.1" not in address:
            found.append(address)

    page.on("request", note)
    return found


@contextmanager
def jupyterlab(folder: Path, dark: bool = False) -> Iterator[str]:
    """JupyterLab on a folder: its address, without token; `/lab/tree/NAME.ipynb` opens a file.

    Settings and workspaces are kept in the folder, so that nothing of the user's is read or
    changed.
    """
    settings = folder / ".settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    settings.joinpath("notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    theme = "JupyterLab Dark" if dark else "JupyterLab Light"
    settings.joinpath("themes.jupyterlab-settings").write_text(f'{{"theme": "{theme}"}}')
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ip=127.0.0.1", f"--notebook-dir={folder}"),
        *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True"),
        f"--LabApp.user_settings_dir={folder / '.settings'}",
        f"--LabApp.workspaces_dir={folder / '.workspaces'}",
    ]
    with served(command, folder, f"http://127.0.0.1:{port}/api"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def served(command: Sequence[str], folder: Path, address: str) -> Iterator[None]:
    """A server that answers at `address`; it and its kernels end with the block."""
    log = folder / ".server.log"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": paths, "JUPYTER_PLATFORM_DIRS": "1"}
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
        try:
            _await(address, server, log)
            yield
        finally:
            _end(server)


def write_notebook(path: Path, *sources: str) -> None:
    """A notebook with these code cells, for this environment's kernel."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def run_all(page: Page) -> None:
    """Run all cells of the notebook that JupyterLab shows, once its kernel is idle."""
    page.locator(".jp-Notebook").first.wait_for()
    page.locator("#jp-main-statusbar").get_by_text(") | Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def _await(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    direct = build_opener(ProxyHandler({}))  # a proxy of the user's does not know this machine
    while time.monotonic() < end:
        assert server.poll() is None, f"the server ended:\n{log.read_text()}"
        try:
            with direct.open(address, timeout=5):
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise AssertionError(f"no answer from {address}:\n{log.read_text()}")


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        kernels = psutil.Process(server.pid).children(recursive=True)
        server.terminate()
        server.wait(30)
        for kernel in psutil.wait_procs(kernels, timeout=5)[1]:
            kernel.kill()  # Voila leaves them behind
