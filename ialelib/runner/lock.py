"""File lock that the OS releases when its holder exits or is killed.

`python -m ialelib.runner.lock FILE COMMAND ...` runs a command, or refuses while another one runs.
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ialelib.utils.errors import InputError

PATIENCE = 5.0
"""Seconds that a holder which was just killed may take to end."""


@contextmanager
def hold(path: Path, wait: bool = False) -> Iterator[int]:
    """Hold the lock on `path` inside the block; yields its file descriptor.

    The system frees the lock when the holder, and all children that were given the descriptor,
    have ended, so nothing is left to clean up after `kill -9`.

    Raises:
        InputError: another process holds it, and `wait` is false; the message names the process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        end = time.monotonic() + (0 if wait else PATIENCE)
        while not (taken := _taken(file)) and time.monotonic() < end:
            time.sleep(0.1)
        if not taken and not wait:
            raise InputError(
                f"another batch is at work in this folder (process {_holder(path)}); "
                "wait for its end, or stop it first"
            )
        if not taken:
            print(f"waiting for process {_holder(path)}, which is at this already", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


def _taken(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(path: Path) -> str:
    return path.read_text() or "unknown"


def main(arguments: list[str]) -> int:
    """Become the command, with the lock; 2 if the lock is taken."""
    path, *command = arguments
    try:
        with hold(Path(path)) as descriptor:
            # The command itself keeps the lock; its own children are not given it.
            os.set_inheritable(descriptor, True)
            os.execvp(command[0], command)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
