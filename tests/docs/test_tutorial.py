"""The notebook docs/tutorial.ipynb runs from its first cell to its last, in a Jupyter kernel."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from page_commands import commands_of

from xpronet.cli import app

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text())


def code_of(notebook: dict[str, Any]) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_is_short_and_holds_no_outputs(notebook: dict[str, Any]):
    lines = [line for code in code_of(notebook) for line in code.splitlines() if line]
    assert len(lines) <= 12
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_it_names_commands_that_exist(notebook: dict[str, Any]):
    prose = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    [demo] = commands_of(prose)
    _, bound, ignored = app.parse_args(demo.split()[1:], exit_on_error=False, print_error=False)
    assert bound.arguments
    assert not ignored


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_kernel_runs_it(desk: Path, monkeypatch: pytest.MonkeyPatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SOURCES), os.environ.get("PYTHONPATH", "")]))
    read = nbformat.reads(NOTEBOOK.read_text(), as_version=4)
    without_java = "import xpronet.evaluation.meteor\nxpronet.evaluation.meteor.find_java = lambda: None"
    read.cells.insert(0, nbformat.v4.new_code_cell(without_java))
    where = {"metadata": {"path": str(desk)}}
    # The kernel talks through files of this user's, not through a port.
    config = pytest.importorskip("traitlets.config").Config({"KernelManager": {"transport": "ipc"}})
    nbclient.NotebookClient(read, timeout=300, resources=where, config=config).execute()
    outputs = [output for cell in read.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    shown = ["".join(output["data"].get("text/html", "")) for output in outputs if "data" in output]
    assert shown[0].count("<img") == 2
    assert "a draft for research" in shown[0].lower()
    assert "BLEU-4" in shown[-1]


def test_its_cells_run_one_after_the_other(notebook: dict[str, Any], desk: Path):
    space: dict[str, Any] = {}
    for code in code_of(notebook):
        exec(compile(code, NOTEBOOK.name, "exec"), space)
    assert len(space["report"].findings) == 14
    attention = space["report"].words[3].attention
    assert attention.shape[0] == 2
    assert attention.sum() == pytest.approx(1, abs=1e-4)
    assert "BLEU-4" in space["card"].to_markdown()
