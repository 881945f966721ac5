"""Executed notebooks without their widgets, which show nothing where no kernel runs.

`python -m ialelib.runner.strip_widgets NOTEBOOK...` strips notebooks in place, before they are
committed: the state of one Plotly widget is 5 MB, and GitHub draws none.
"""

import sys
from pathlib import Path

from ialelib.utils.extras import extra
from ialelib.utils.files import atomic

with extra("batch"):
    import nbformat
    from nbformat import NotebookNode

WIDGET = "application/vnd.jupyter.widget-view+json"


def strip(notebook: NotebookNode) -> None:
    """Take the widgets' state, and every output that is a widget, out of a notebook."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]


def main(paths: list[str]) -> None:
    """Strip the notebooks at these paths."""
    for path in map(Path, paths):
        notebook = nbformat.read(path, as_version=4)
        strip(notebook)
        with atomic(path) as temporary:
            nbformat.write(notebook, temporary)


if __name__ == "__main__":
    main(sys.argv[1:])
