"""What a report is worth: each part by itself, and their sum."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpronet.data.corpus import Corpus
from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import FindingReader
from xpronet.evaluation.language import language_statistics
from xpronet.evaluation.text_protocol import find_protocol
from xpronet.labels.findings import ABNORMALITIES, FINDINGS
from xpronet.labels.rules import RuleLabeler
from xpronet.text.cleaning import clean
from xpronet.training.reward import PARTS, TOTAL, Reward, RewardParts, RewardSettings, count_documents

SETTINGS = RewardSettings(samples=2, places=0.5)
LABELER = RuleLabeler()
SENTENCES = (
    "There is cardiomegaly.",
    "No cardiomegaly.",
    "Small left pleural effusion.",
    "There is no pleural effusion.",
    "Possible pneumonia in the right lower lobe.",
    "The lungs are clear.",
)
TEXTS = st.lists(st.sampled_from(SENTENCES), max_size=4).map(" ".join)


def reward_of(references: dict[str, str], settings: RewardSettings = SETTINGS) -> Reward:
    cider = count_documents([*references.values(), *SENTENCES], clean, settings)
    return Reward(settings, references, cider=cider, clean=clean, labeler=LABELER)


def test_cider_is_that_of_the_scorecard(phantom: Corpus) -> None:
    pytest.importorskip("pycocoevalcap")
    settings = dataclasses.replace(SETTINGS, count_end=False)
    texts = [study.report for study in phantom.studies]
    ids = [study.id for study in phantom.studies]
    reports = texts[3:] + texts[:3]
    reward = Reward(
        settings,
        dict(zip(ids, texts, strict=True)),
        cider=count_documents(texts, clean, settings),
        clean=clean,
        labeler=LABELER,
    )
    protocol = find_protocol("full-text")
    statistics = language_statistics(protocol.references(texts), protocol.reports(reports))
    each = [statistics.score(row[None])["CIDEr"][0] for row in statistics.values]
    ours = [reward.parts(study, report).cider for study, report in zip(ids, reports, strict=True)]
    assert ours == pytest.approx(each, abs=1e-9)
    assert max(ours) > 0.1


@given(TEXTS, TEXTS)
def test_misses_and_false_alarms_are_those_that_the_scorecard_counts(reference: str, report: str) -> None:
    labels = FindingReader(LABELER).labels([reference, report])
    columns = [FINDINGS.index(name) for name in ABNORMALITIES]
    parts = reward_of({"study": reference}).parts("study", report)
    stated, said = labels[:, columns] == 1
    assert parts.misses == int(np.sum(stated & ~said))
    assert parts.false_alarms == int(np.sum(said & ~stated))
    assert 0 <= parts.false_denials <= parts.misses
    assert parts.misplaced >= 0


@given(TEXTS)
def test_no_report_is_worth_more_than_the_reference(text: str) -> None:
    reward = reward_of({"study": "Small left pleural effusion. The heart is normal."})
    best = reward.parts("study", "Small left pleural effusion. The heart is normal.")
    assert best == RewardParts(pytest.approx(10), 0, 0, 0, 0, 0)
    assert reward.total(reward.parts("study", text)) <= reward.total(best)


def test_a_false_denial_costs_more_than_silence() -> None:
    reward = reward_of({"study": "Small left pleural effusion."})
    denied, silent = (reward.parts("study", text) for text in ("There is no pleural effusion.", "The lungs are clear."))
    assert (denied.misses, silent.misses) == (1, 1)
    assert (denied.false_denials, silent.false_denials) == (1, 0)


def test_denying_what_is_not_there_costs_nothing() -> None:
    reward = reward_of({"study": "The lungs are clear."})
    parts = reward.parts("study", "There is no pleural effusion.")
    assert parts[1:] == (0, 0, 0, 0, 0)


def test_the_total_is_the_weighted_sum() -> None:
    settings = RewardSettings(samples=2, cider=2.0, misses=0.5, false_alarms=3.0, denials=0.25, places=4.0)
    reward = reward_of({"study": "The lungs are clear."}, settings)
    assert reward.total(RewardParts(3.0, 0, 2, 5, 1, 0.5)) == 2 * 3 - 0.5 * 2 - 3 * 5 - 0.25 - 4 * 0.5


def test_a_report_that_was_cut_is_worth_less_than_one_that_ends() -> None:
    reward = reward_of({"study": "The lungs are clear."})
    ended, cut = (reward.parts("study", "The lungs are clear.", ended=ended) for ended in (True, False))
    assert ended.cider > cut.cider


def test_means_name_the_reward_and_its_parts() -> None:
    reward = reward_of({"a": SENTENCES[0], "b": SENTENCES[2]})
    means = reward.means([("a", SENTENCES[0]), ("b", SENTENCES[3])])
    assert list(means) == [TOTAL, *PARTS]
    assert means["false_denials"] == 0.5
    assert means["cider"] == pytest.approx((10 + reward.parts("b", SENTENCES[3]).cider) / 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"samples": 1}, "the mean of the other samples needs 2"),
        ({"samples": 2, "temperature": 0.0}, "reward.temperature = 0.0: must be above 0"),
        ({"misses": -1.0}, "reward.misses = -1.0: must not be negative"),
        ({"samples": 2, "cider": 0.0, "misses": 0.0, "false_alarms": 0.0, "denials": 0.0}, "nothing is rewarded"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RewardSettings(**values)
