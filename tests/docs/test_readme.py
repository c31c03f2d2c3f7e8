"""README.md shows what the commands print, what Python prints, and figures that were measured."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.deploy.demo_model import demo_model
from xpronet.files import read_json

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the README's blocks run in, one after another."""
    return tmp_path_factory.mktemp("readme")


def fenced(language: str) -> str:
    [block] = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return str(block)


def test_commands_print_what_is_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "argv", ["xpronet"])
    monkeypatch.setenv("COLUMNS", "80")
    for shown in fenced("console").removeprefix("$ ").split("\n$ "):
        command, _, output = shown.partition("\n")
        assert run(command.split()[1:]) == 0
        assert capsys.readouterr().out.strip() == output.strip()


def test_python_runs(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(here)
    monkeypatch.setattr("xpronet.evaluation.meteor.find_java", lambda: None)
    exec(compile(fenced("python"), "README.md", "exec"), {})
    told = capsys.readouterr().out
    text, present, shape, *_ = told.splitlines()
    assert text in fenced("console")
    assert f"# {present}\n" in fenced("python")
    assert f"# {shape}: views" in fenced("python")
    assert "# Scorecard: 1 stud" in told


def test_rows_of_results_are_those_of_the_results_page() -> None:
    page = (ROOT / "docs/results/iu_xray.md").read_text().split("## Protocol full-text")[0]
    rows = re.findall(r"^\| (?:\*\*)?(?!reports|---)(.*?) \| (.*) \|$", README, re.MULTILINE)
    assert len(rows) == 6
    measured = [
        [cells[2], cells[4], cells[6], cells[9]]
        for line in page.splitlines()
        if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 10
    ]
    for _, cells in rows:
        assert [cell.strip() for cell in cells.split(" | ")] in [[*row[:3], row[3]] for row in measured], cells


def test_scores_of_the_demo_model_are_its_own() -> None:
    scores = read_json(demo_model() / "scorecard.json")["model"]["scores"]
    for name in ("macro-F1 of 13", "BLEU-4"):
        assert "{value:.3f} ({low:.3f} to {high:.3f})".format(**scores[name]) in README


def test_the_picture_is_up_to_date(tmp_path: Path) -> None:
    drawn = tmp_path / "readme.svg"
    subprocess.run([sys.executable, str(ROOT / "docs/draw_readme.py"), str(drawn)], check=True)
    shown = (ROOT / "docs/readme.svg").read_text()
    assert len(shown) < MOST_BYTES
    # Colours of regions may differ in the last digit from machine to machine; texts may not.
    texts = [re.findall(r">([^<>]+)</t", svg) for svg in (shown, drawn.read_text())]
    assert len(texts[0]) > 15
    assert texts[0] == texts[1], "run python docs/draw_readme.py"
