"""The check of an installation: it passes here, and fails where a text, a finding or a number is another."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from xpronet.cli import run
from xpronet.deploy.demo_model import demo_model
from xpronet.experiment.self_check import REPORT, STUDY, compare, largest_drawing_difference, store_check_study
from xpronet.files import read_json, write_json


@pytest.fixture
def stored() -> dict[str, Any]:
    answer: dict[str, Any] = read_json(demo_model() / STUDY / REPORT)
    return answer


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's model in its place."""
    folder = Path(shutil.copytree(demo_model(), tmp_path / "model"))
    for module in ("self_check", "capabilities"):
        monkeypatch.setattr(f"xpronet.experiment.{module}.demo_model", lambda: folder, raising=False)
    return folder


def test_the_stored_report_is_what_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 0
    told = capsys.readouterr().out
    assert "PyTorch on cpu, fp32: same text, same findings" in told
    assert "reports are the stored one" in told
    assert "GPU" in told
    assert largest_drawing_difference() <= 1


def test_the_exit_status_tells_of_another_report(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = model / STUDY / REPORT
    write_json(path, {**read_json(path), "report": "Normal."}, overwrite=True)
    assert run(["check"]) == 1
    captured = capsys.readouterr()
    assert "ANOTHER TEXT" in captured.out
    assert "reports from here mislead" in captured.err


def test_storing_it_anew_changes_nothing(model: Path, stored: dict[str, Any]) -> None:
    (model / STUDY / REPORT).unlink()
    store_check_study(model)
    again = read_json(model / STUDY / REPORT)
    assert compare(again, stored, runtime="cpu", precision="fp32").is_right
    assert again["views"] == stored["views"]


def test_each_kind_of_number_is_compared(stored: dict[str, Any]) -> None:
    assert compare(stored, stored, runtime="cpu", precision="fp32").is_right
    changes = {
        "probability": lambda answer: answer["findings"][3].update(probability=0.5),
        "log probability": lambda answer: answer["words"][1].update(log_probability=-9.0),
        "attention": lambda answer: answer["words"][1]["attention"][0][0].__setitem__(0, 0.9),
    }
    for kind, change in changes.items():
        answer = copy.deepcopy(stored)
        change(answer)
        comparison = compare(answer, stored, runtime="cpu", precision="fp32")
        assert not comparison.is_right
        assert [name for name, distance in comparison.distances.items() if distance > 0.01] == [kind]
    answer = copy.deepcopy(stored)
    answer["findings"][0]["present"] = not answer["findings"][0]["present"]
    assert "OTHER FINDINGS" in compare(answer, stored, runtime="cpu", precision="bf16").line()
