"""The number that the best epoch is chosen by."""

import numpy as np
import pytest

from xpronet.errors import InputError
from xpronet.evaluation import epoch_score as epoch
from xpronet.evaluation.epoch_score import EpochScore, protocol_of
from xpronet.evaluation.language import language_statistics
from xpronet.evaluation.meteor import NUM_STATISTICS, Unavailable
from xpronet.evaluation.text_protocol import find_protocol

REFERENCES = ("the heart is normal in size .", "no pleural effusion or pneumothorax .", "the lungs are clear .")
REPORTS = ("the heart is normal .", "no effusion or pneumothorax .", "the lungs are clear .")


def scorer(by: str = "bleu4", protocol: str = "full-text") -> EpochScore:
    return EpochScore(by=by, references=REFERENCES, train_reports=REFERENCES * 3, protocol=protocol)  # type: ignore[arg-type]


def test_bleu4_is_that_of_the_scorecard() -> None:
    forms = find_protocol("full-text").reports(REFERENCES), find_protocol("full-text").reports(REPORTS)
    assert scorer()(REPORTS) == language_statistics(*forms).totals()["BLEU-4"]
    assert scorer()(REFERENCES) == pytest.approx(1)


def test_the_published_protocol_hides_rare_words() -> None:
    train = ("the heart is normal in size .",) * 3
    score = EpochScore(
        by="bleu4", references=("the heart is enlarged .",), train_reports=train, protocol="published-iu"
    )
    assert score(["the heart is <unk> ."]) == pytest.approx(1)


def test_the_published_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    aligned = np.ones((len(REPORTS), NUM_STATISTICS))  # what Java would have answered
    monkeypatch.setattr(epoch, "meteor_statistics", lambda references, reports: aligned)
    forms = find_protocol("full-text").reports(REFERENCES), find_protocol("full-text").reports(REPORTS)
    totals = language_statistics(*forms, meteor=aligned).totals()
    assert totals["METEOR"] > 0
    expected = totals["BLEU-4"] + 0.33 * totals["BLEU-1"] + 0.67 * totals["METEOR"]
    assert scorer("published")(REPORTS) == pytest.approx(expected)


def test_without_java_the_published_sum_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch, "meteor_statistics", lambda references, reports: Unavailable(reason="no Java"))
    with pytest.raises(InputError, match=r"train.best_by = 'published' needs METEOR \(no Java\)"):
        scorer("published").check()
    scorer("bleu4").check()


@pytest.mark.parametrize(
    ("cleaning", "protocol"),
    [("xpronet", "full-text"), ("published-iu", "published-iu"), ("published-mimic", "published-mimic")],
)
def test_a_models_own_protocol(cleaning: str, protocol: str) -> None:
    assert protocol_of(cleaning) == protocol  # type: ignore[arg-type]
