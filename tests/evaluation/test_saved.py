"""Saved scorecards beside each other, if they were measured alike."""

import json
from pathlib import Path

import pytest

from xpronet.cli import run
from xpronet.errors import InputError
from xpronet.evaluation.comparison import read_scorecard, side_by_side

SCORES = {"BLEU-4": {"value": 0.2, "low": 0.19, "high": 0.21}}


def card(path: Path, studies: int = 5, **stamp: str) -> Path:
    whole = {"protocol": "full-text", "split": "test", "predictions": path.name, **stamp}
    path.write_text(json.dumps({"stamp": whole, "studies": studies, "model": {"scores": SCORES}}))
    return path


def test_cards_measured_alike_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = card(tmp_path / "a.json"), card(tmp_path / "b.json")
    pair = side_by_side(one, other)
    assert pair.apart == ()
    assert pair.first.scores["BLEU-4"].high == 0.21
    assert run(["evaluate", str(one), "--against", str(other)]) == 0
    shown = capsys.readouterr().out
    assert "a.json (A) beside b.json (B): 5 studies" in shown
    assert "0.200 (.190–.210)" in shown


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"protocol": "published-iu"}, "protocol is 'full-text' here and 'published-iu' there"),
        ({"case": "kept"}, "case is not stated here and 'kept' there"),
        ({"studies": 6, "split": "val"}, "5 studies here and 6 there, and 1 more"),
    ],
)
def test_cards_measured_differently_are_refused_but_by_force(tmp_path, other, told, capsys):
    one, two = card(tmp_path / "a.json"), card(tmp_path / "b.json", **other)
    with pytest.raises(InputError, match=told):
        side_by_side(one, two)
    assert run(["evaluate", str(one), "--against", str(two)]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert run(["evaluate", str(one), "--against", str(two), "--force"]) == 0
    assert "Not comparable" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[]", "{}", '{"stamp": 3, "studies": 1, "model": {}}', "no json"])
def test_something_else_is_no_scorecard(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"card\.json: "):
        read_scorecard(path)


def test_a_scorecard_alone_and_predictions_beside_one_are_refused(tmp_path, capsys):
    path = card(tmp_path / "a.json")
    assert run(["evaluate", str(path)]) == 2
    assert run(["evaluate", str(path), "--against", "predictions.jsonl"]) == 2
    assert "compared with another" in capsys.readouterr().err
