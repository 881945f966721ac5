"""Lines that stay, and below them, on a terminal, lines that change."""

import os
from collections.abc import Sequence
from typing import TextIO


class Screen:
    """What a person sees of a batch; where `out` is no terminal, only what stays is printed."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.live = out.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = 0  # lines

    def say(self, text: str) -> None:
        """Print lines that stay; those that change are gone until `show`."""
        self._write(f"{text}\n")
        self._shown = 0

    def show(self, lines: Sequence[str]) -> None:
        """Put these lines, each cut to the width of the terminal, in the place of the last ones."""
        if self.live:
            width = os.get_terminal_size(self.out.fileno()).columns or 80
            self._write("".join(f"{line[: width - 1]}\n" for line in lines))
            self._shown = len(lines)

    def _write(self, text: str) -> None:
        # Up to the first of the lines that change, and clear all below.
        back = f"\x1b[{self._shown}F\x1b[J" if self._shown else ""
        self.out.write(back + text)
        self.out.flush()
