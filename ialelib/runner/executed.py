"""Executed notebooks: each carries a digest of its own text, by which damage is found."""

from pathlib import Path

from ialelib.utils.errors import InputError
from ialelib.utils.extras import extra
from ialelib.utils.files import atomic, digest

with extra("batch"):
    import nbformat
    from nbformat import NotebookNode

NAME = "ialelib-digest"
KEY = f'"{NAME}": "'.encode()
"""Stands before the digest in the file: the last time, as metadata come after the cells."""


def save(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all, with the digest of all but the digest."""
    notebook.metadata[NAME] = ""
    before, _, behind = f"{nbformat.writes(notebook)}\n".encode().rpartition(KEY)
    with atomic(path) as temporary:
        temporary.write_bytes(before + KEY + digest(before, behind).encode() + behind)


def whole(path: Path) -> bool:
    """Whether `save` wrote a file as it is; not one of an earlier version, or of somebody else."""
    try:
        return path.is_file() and _fits(path.read_bytes())
    except OSError:
        return False


def load(path: Path) -> NotebookNode:
    """A notebook to look at; one without a digest, which others executed, is taken as it is.

    Raises:
        InputError: no notebook, or not what was written.
    """
    try:
        text = path.read_bytes() if path.is_file() else b""  # a pipe would be waited for
        notebook = nbformat.reads(text.decode(), as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat has no common base for its errors
        raise InputError(f"{path} is no notebook") from error
    if NAME in notebook.metadata and not _fits(text):
        raise InputError(f"{path} does not fit its digest")
    return notebook


def _fits(text: bytes) -> bool:
    before, key, behind = text.rpartition(KEY)
    found, rest = behind[:16], behind[16:]
    return bool(key) and found == digest(before, rest).encode()
