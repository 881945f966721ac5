"""What users are told in a line: invalid input, misspelt names, what an interrupt leaves."""

import re
from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input: the message, of one line, says what is wrong and what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__(re.sub(r"\s*\n\s*", " ", message))


class InputTypeError(InputError, TypeError):
    """An object of the wrong kind, which other libraries look for as a TypeError."""


class Stopped(KeyboardInterrupt):
    """A long call was interrupted; the message says what is kept."""

    def _render_traceback_(self) -> list[str]:
        """What notebooks show: where in this library the call stood is no news."""
        return [f"Stopped: {self}"]


def unknown(kind: str, name: object, accepted: Iterable[str]) -> InputError:
    """Error for a name that is not among the accepted ones, with the nearest of them.

    >>> print(unknown("strategy", "entrpy", ["entropy", "badge"]))
    unknown strategy 'entrpy'; did you mean 'entropy'? Accepted: badge, entropy
    """
    names = sorted(accepted)
    near = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return InputError(f"unknown {kind} {str(name)!r}{hint} Accepted: {', '.join(names)}")
