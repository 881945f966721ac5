"""What `make demo` starts, for tests: Voila on this machine, by the Makefile's own command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import browser


@contextmanager
def voila(folder: Path, theme: str = "light") -> Iterator[str]:
    """The address of the demo's page; the log is kept in the folder."""
    port = browser.free_port()
    command = ["make", "-C", str(browser.ROOT), "-o", "setup", "demo", "BROWSER=no"]
    command += [f"BIN={Path(sys.executable).parent}", f"PORT={port}", f"THEME={theme}"]
    address = f"http://127.0.0.1:{port}/"
    # The page itself would start a kernel at every request.
    with browser.served(command, folder, f"{address}voila/templates/lab/static/voila.js"):
        yield address
