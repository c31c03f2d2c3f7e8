"""What stands beside a report about its model."""

from pathlib import Path

import pytest

from xpronet.errors import InputError
from xpronet.evaluation.model_origin import NOT_MEASURED, NOT_STATED, read_model_origin
from xpronet.files import write_json
from xpronet.training.training_data import TrainingData

DATA = TrainingData(corpus="films", licence="CC0", studies={"train": 1200, "val": 0}, drawn=False)
CARD = {
    "model": {
        "scores": {"BLEU-4": {"value": 0.2, "low": 0.1, "high": 0.3}, "BLEU-1": {"value": 1, "low": 1, "high": 1}}
    },
    "stamp": {"model": "abc", "split": "test, 480 of 480 studies", "corpus": "films"},
    "studies": 480,
}


def test_a_run_that_says_nothing_says_so(tmp_path: Path) -> None:
    origin = read_model_origin(tmp_path, fingerprint="abc")
    assert origin.lines() == (f"Model: {NOT_STATED}", f"Scores: {NOT_MEASURED}")
    assert origin.record()["corpus"] is None


def test_scores_have_intervals_and_are_of_these_weights(tmp_path: Path) -> None:
    DATA.write(tmp_path)
    write_json(tmp_path / "scorecard.json", CARD)
    lines = read_model_origin(tmp_path, fingerprint="abc").lines()
    assert lines == (
        "Model: learned from films, 1,200 train studies, licence: CC0",
        "Scores: BLEU-4 0.200 (0.100 to 0.300); 480 studies (test of films), 95 % intervals",
    )
    assert read_model_origin(tmp_path, fingerprint="other").scores == ()
    checkpoint = tmp_path / "checkpoints" / "best"
    checkpoint.mkdir(parents=True)
    assert read_model_origin(checkpoint, fingerprint="abc").lines() == lines


def test_drawings_are_named_first(tmp_path: Path) -> None:
    TrainingData(corpus="phantom", licence="", studies={"train": 1}, drawn=True).write(tmp_path)
    origin = read_model_origin(tmp_path, fingerprint="abc")
    assert "worthless on patients" in origin.lines()[0]
    assert origin.record()["drawn"] is True


def test_another_file_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "scorecard.json", {**CARD, "model": {"scores": {"BLEU-4": {"value": "high"}}}})
    with pytest.raises(InputError, match="not a scorecard"):
        read_model_origin(tmp_path, fingerprint="abc")
