"""The notebook: it runs from top to bottom, and what it shows is of such a run."""

import os
import pathlib
import re

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PATH = ROOT / "docs" / "tour.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(PATH, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_what_it_shows_is_of_one_run_from_the_top(notebook):
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert "error" not in kinds
    assert kinds.count("execute_result") >= 7  # the pictures
    assert PATH.stat().st_size < 2_000_000


@pytest.mark.slow
def test_it_runs(notebook, tmp_path, monkeypatch):
    places = [os.environ.get("PYTHONPATH"), str(ROOT)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, places)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (training,) = (cell for cell in code_cells(notebook) if " train " in cell.source)
    training.source, found = re.subn(r", \d+ +# about", ", 4  # about", training.source)
    assert found == 1
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    assert (tmp_path / "runs" / "tour" / "report.html").exists()
    assert (tmp_path / "runs" / "tour" / "walk.gif").exists()
    # A command that fails in a cell raises nothing.
    said = [
        output.text for cell in code_cells(notebook) for output in cell.outputs if "text" in output
    ]
    assert any("Done: 4 steps" in text for text in said)
    assert any("Measured on emoji-cnn features" in text for text in said)
