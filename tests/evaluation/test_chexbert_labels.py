"""`evaluate --labeler chexbert`: one labeler for both sides, with weights from a file."""

import json
from pathlib import Path

import numpy as np
import pytest

from xpronet.cli import run
from xpronet.evaluation.evaluate import evaluate
from xpronet.evaluation.settings import EvaluationSettings
from xpronet.labels.chexbert import ChexbertLabeler, ChexbertSettings
from xpronet.labels.f1 import abnormality_f1
from xpronet.labels.findings import FINDINGS, State

REFERENCES = ["No pleural effusion.", "The heart is enlarged.", "Left opacity.", "Small right pleural effusion."] * 3
REPORTS = ["The heart is normal.", "The heart is enlarged.", "No opacity.", "Large pleural effusion."] * 3


def test_both_sides_are_read_by_chexbert(tiny_chexbert: Path, tmp_path: Path) -> None:
    predictions = tmp_path / "predictions.jsonl"
    lines = [
        json.dumps({"id": str(number), "report": report, "reference": reference})
        for number, (report, reference) in enumerate(zip(REPORTS, REFERENCES, strict=True))
    ]
    predictions.write_text("\n".join(lines))
    weights = str(tiny_chexbert / "chexbert.pth")
    command = ["evaluate", str(predictions), "--labeler", "chexbert", "--weights", weights, "--skip-meteor"]
    assert run([*command, "--out", str(tmp_path / "card.json")]) == 0
    card = json.loads((tmp_path / "card.json").read_text())
    assert "chexbert" in card["stamp"]["findings"].lower()

    labeler = ChexbertLabeler(ChexbertSettings(weights=weights))
    present = (State.POSITIVE, State.UNCERTAIN)
    truth, said = (
        np.array([[labeler.label(text)[name] in present for name in FINDINGS] for text in texts])
        for texts in (REFERENCES, REPORTS)
    )
    expected = abnormality_f1(truth, said)
    assert card["model"]["scores"]["macro-F1 of 13"]["value"] == pytest.approx(expected)


def test_the_rules_read_otherwise(tiny_chexbert: Path) -> None:
    chexbert = EvaluationSettings(labeler="chexbert", weights=str(tiny_chexbert / "chexbert.pth"), skip_meteor=True)
    cards = [evaluate(REPORTS, REFERENCES, settings=each) for each in (EvaluationSettings(skip_meteor=True), chexbert)]
    assert cards[0].stamp["findings"] != cards[1].stamp["findings"]
    assert cards[0].model.scores["BLEU-4"] == cards[1].model.scores["BLEU-4"]
