"""Notebooks without widgets: what goes, and what stays."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ialelib.runner import strip_widgets


def test_state_and_widgets_go_and_all_else_stays(tmp_path: Path) -> None:
    widget = {strip_widgets.WIDGET: {"model_id": "a"}, "text/plain": "VBox()"}
    outputs = [
        new_output("stream", text="printed"),
        new_output("display_data", widget),
        new_output("execute_result", {"text/plain": "3"}, execution_count=1),
    ]
    cells = [new_markdown_cell("# Title"), new_code_cell("f()", outputs=outputs)]
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"widgets": {"state": {}}, "x": 1}), path)
    strip_widgets.main([str(path)])
    stripped = nbformat.read(path, as_version=4)
    assert dict(stripped.metadata) == {"x": 1}
    assert stripped.cells[0] == cells[0]
    assert stripped.cells[1].outputs == [outputs[0], outputs[2]]
