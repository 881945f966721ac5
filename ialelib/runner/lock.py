"""File lock that the OS releases when its holder exits or is killed.

`python -m ialelib.runner.lock FILE COMMAND ...` runs a command, or refuses while another one runs.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ialelib.utils.errors import InputError


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
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise InputError(
                    f"another batch is at work in this folder (process {_holder(path)}); "
                    "wait for its end, or stop it first"
                ) from None
            print(f"waiting for process {_holder(path)}, which is at this already", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield file.fileno()


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
