from collections.abc import Callable

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu

from xpronet.errors import InputError
from xpronet.evaluation.finding_f1 import FindingReader, agreement, finding_statistics, whole_numbers
from xpronet.evaluation.intervals import Scores, StudyStatistics, Sums, compare, intervals
from xpronet.evaluation.language import language_statistics
from xpronet.labels.findings import ABNORMALITIES, FINDINGS
from xpronet.labels.rules import RuleLabeler

Reports = Callable[[int, int], list[str]]


def ratio(sums: Sums) -> Scores:
    """A mean, and a ratio of sums as BLEU's precisions are."""
    return {"mean": sums[:, 0] / sums[:, 2], "ratio": sums[:, 0] / sums[:, 1]}


def simulated(random: np.random.Generator, studies: int, gain: float) -> StudyStatistics:
    lengths = random.integers(5, 30, studies).astype(np.float64)
    hits = random.binomial(lengths.astype(int), 0.4 + gain).astype(np.float64)
    return StudyStatistics(values=np.stack([hits, lengths, np.ones(studies)], axis=1), score=ratio)


def test_resamples_equal_rescoring(reports_of: Reports) -> None:
    references, reports = (
        [text.lower().replace(".", " .") for text in texts] for texts in (reports_of(60, 1), reports_of(60, 2))
    )
    statistics = language_statistics(references, reports)
    random = np.random.default_rng(3)
    each = statistics.weighted(np.eye(60))
    for _ in range(20):
        drawn = random.integers(0, 60, 60)
        weights = np.bincount(drawn, minlength=60).astype(np.float64)[None]
        got = statistics.weighted(weights)
        texts = {position: [references[number]] for position, number in enumerate(drawn)}
        bleu, _ = Bleu(4).compute_score(
            texts, {position: [reports[number]] for position, number in enumerate(drawn)}, verbose=0
        )
        assert [got[f"BLEU-{order}"][0] for order in range(1, 5)] == pytest.approx(bleu, abs=1e-9)
        for name in ("ROUGE-L", "CIDEr"):  # means over studies; CIDEr's idf stays that of all references
            assert got[name][0] == pytest.approx(each[name][drawn].mean(), abs=1e-9)
        assert statistics.subset(drawn).totals() == pytest.approx({name: got[name][0] for name in got}, abs=1e-12)


@pytest.mark.parametrize("findings", [FINDINGS, ABNORMALITIES])
def test_finding_scores_are_those_of_agreement(reports_of: Reports, findings: tuple[str, ...]) -> None:
    reader = FindingReader(RuleLabeler())
    truth, predicted = reader.labels(reports_of(50, 1)), reader.labels(reports_of(50, 2))
    scores = finding_statistics(truth, predicted).totals()
    table = agreement(whole_numbers(truth[:, : len(findings)]), whole_numbers(predicted[:, : len(findings)]), findings)
    group = str(len(findings))
    assert scores[f"macro-F1 of {group}"] == pytest.approx(table.macro.f1)
    assert scores[f"micro-F1 of {group}"] == pytest.approx(table.micro.f1)
    assert scores[f"example-F1 of {group}"] == pytest.approx(table.example.f1)
    assert all(
        np.isnan(scores[row.finding]) if row.f1 is None else scores[row.finding] == pytest.approx(row.f1)
        for row in table.per_finding
    )
    drawn = np.random.default_rng(0).integers(0, 50, 50)
    again = agreement(
        whole_numbers(truth[drawn][:, : len(findings)]), whole_numbers(predicted[drawn][:, : len(findings)]), findings
    )
    weights = np.bincount(drawn, minlength=50).astype(np.float64)[None]
    resampled = finding_statistics(truth, predicted).weighted(weights)
    assert resampled[f"macro-F1 of {group}"][0] == pytest.approx(again.macro.f1, abs=1e-9)


def test_intervals_cover_the_known_difference() -> None:
    random = np.random.default_rng(5)
    covered, trials, gain = {"mean": 0, "ratio": 0}, 1000, 0.05
    known = {"mean": gain * 17.0, "ratio": gain}  # lengths average 17
    for _ in range(trials):
        first, second = simulated(random, 150, gain), simulated(random, 150, 0.0)
        second.values[:, 1] = first.values[:, 1]
        second.values[:, 0] = random.binomial(first.values[:, 1].astype(int), 0.4)
        for name, difference in compare(first, second, resamples=400).items():
            covered[name] += difference.low <= known[name] <= difference.high
    assert all(0.93 <= count / trials <= 0.97 for count in covered.values()), covered


def test_equal_systems_are_rarely_told_apart() -> None:
    random = np.random.default_rng(6)
    p_values = [
        compare(simulated(random, 60, 0.0), simulated(random, 60, 0.0), resamples=300)["ratio"].p_value
        for _ in range(300)
    ]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


def test_a_set_does_not_differ_from_itself(reports_of: Reports) -> None:
    texts = [text.lower() for text in reports_of(30, 1)]
    statistics = language_statistics(texts, [text.lower() for text in reports_of(30, 2)])
    for difference in compare(statistics, statistics, resamples=200).values():
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)
        assert difference.p_value == 1.0
        assert difference.low <= 0 <= difference.high


def test_intervals_hold_the_score_and_follow_the_seed(reports_of: Reports) -> None:
    references, reports = ([text.lower() for text in reports_of(80, seed)] for seed in (1, 2))
    statistics = language_statistics(references, reports)
    first, again, other = (intervals(statistics, resamples=300, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert all(estimate.low <= estimate.value <= estimate.high for estimate in first.values())
    assert first["BLEU-4"].low < first["BLEU-4"].high


def test_no_study_is_no_score() -> None:
    with pytest.raises(InputError, match="at least one study"):
        intervals(simulated(np.random.default_rng(0), 0, 0.0))
