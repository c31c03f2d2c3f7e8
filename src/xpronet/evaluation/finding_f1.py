"""F1 of the findings read from reports: what each study adds to the counts, and every way the field reports them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int64

from xpronet.errors import InputError
from xpronet.evaluation.intervals import Scores, StudyStatistics, Sums
from xpronet.labels.f1 import f1_scores, macro_f1
from xpronet.labels.findings import ABNORMALITIES, COMMON_FIVE, FINDINGS, IGNORED, State, Uncertain, collapse
from xpronet.labels.label_tables import label_matrix
from xpronet.labels.labelers import Labeler
from xpronet.labels.rules import RuleLabeler

DEFINITIONS: Mapping[str, tuple[str, ...]] = {"14": FINDINGS, "13": ABNORMALITIES, "5": COMMON_FIVE}
"""What "F1 over so many findings" means: with No Finding, without it, and CheXpert's common five."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far predicted labels agree with true ones; a number that is undefined is None."""

    studies: int
    """How many studies were compared."""
    uncertain: Uncertain
    """What became of uncertain labels before they were compared."""
    per_finding: tuple["FindingAgreement", ...]
    """Each finding by itself, in the order asked for."""
    micro: "Score"
    """Of all labels in one heap: frequent findings count more."""
    macro: "Score"
    """The mean over the findings that either side ever has; an undefined precision or recall counts as 0."""
    example: "Score"
    """The mean over studies of their own scores; two empty sets of findings agree fully, one empty set not at all."""

    def record(self) -> dict[str, Any]:
        """Return all numbers as JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Score:
    """Precision, recall and F1."""

    precision: float | None
    """The share of what was predicted that is true; None where nothing was predicted."""
    recall: float | None
    """The share of what is true that was predicted; None where nothing is true."""
    f1: float | None
    """Twice the hits over all that was predicted and all that is true; None where there is neither."""


@dataclass(frozen=True, kw_only=True)
class FindingAgreement:
    """Agreement on one finding."""

    finding: str
    """Its name."""
    present: int
    """In how many studies the truth has it."""
    predicted: int
    """In how many studies the prediction has it."""
    hits: int
    """In how many both have it."""
    precision: float | None
    """As in `Score`."""
    recall: float | None
    """As in `Score`."""
    f1: float | None
    """As in `Score`."""
    kappa: float | None
    """Cohen's: agreement beyond chance, 1 at most; None where both sides say the same of every study."""


def agreement(
    truth: Int[np.ndarray, "studies findings"],
    predicted: Int[np.ndarray, "studies findings"],
    findings: Sequence[str],
    uncertain: Uncertain = "positive",
) -> Agreement:
    """Compare two matrices of labels.

    Args:
        truth: 0 or 1; an entry that is `IGNORED` on either side is left out of everything.
        predicted: likewise.
        findings: the names of the columns.
        uncertain: how the matrices were collapsed, for the record.

    Raises:
        InputError: there is no study to compare.
    """
    if not len(truth):
        raise InputError("there is no study to compare labels of; choose another split")
    known = (truth != IGNORED) & (predicted != IGNORED)
    true, said = (truth == 1) & known, (predicted == 1) & known
    rows = tuple(
        _finding(name, true[:, column], said[:, column], known[:, column]) for column, name in enumerate(findings)
    )
    seen = [row for row in rows if row.f1 is not None]
    return Agreement(
        studies=len(truth),
        uncertain=uncertain,
        per_finding=rows,
        micro=_score(int((true & said).sum()), int(said.sum()), int(true.sum())),
        macro=Score(
            precision=_mean([row.precision or 0.0 for row in seen]),
            recall=_mean([row.recall or 0.0 for row in seen]),
            f1=_defined(macro_f1(np.array([np.nan if row.f1 is None else row.f1 for row in rows]))),
        ),
        example=_example(true, said),
    )


def table_agreement(
    truth: Mapping[str, Mapping[str, State]],
    predicted: Mapping[str, Mapping[str, State]],
    findings: Sequence[str] = FINDINGS,
    uncertain: Uncertain = "positive",
) -> Agreement:
    """Compare two tables of states, collapsed alike, over the studies of `truth`."""
    matrices = [
        np.array(
            [[collapse(table[study_id], uncertain)[name] for name in findings] for study_id in truth], dtype=np.int64
        ).reshape(len(truth), len(findings))
        for table in (truth, predicted)
    ]
    return agreement(matrices[0], matrices[1], findings, uncertain)


def disagreements(
    truth: Mapping[str, Mapping[str, State]],
    predicted: Mapping[str, Mapping[str, State]],
    finding: str,
    uncertain: Uncertain = "positive",
) -> tuple[list[str], list[str]]:
    """Return the studies where only the prediction has a finding, and those where only the truth has it."""
    pairs = {
        study_id: (collapse(truth[study_id], uncertain)[finding], collapse(predicted[study_id], uncertain)[finding])
        for study_id in truth
    }
    added = [study_id for study_id, pair in pairs.items() if pair == (0, 1)]
    missed = [study_id for study_id, pair in pairs.items() if pair == (1, 0)]
    return added, missed


def _finding(
    name: str,
    true: Bool[np.ndarray, " studies"],
    said: Bool[np.ndarray, " studies"],
    known: Bool[np.ndarray, " studies"],
) -> FindingAgreement:
    present, predicted, hits = int(true.sum()), int(said.sum()), int((true & said).sum())
    score = _score(hits, predicted, present)
    return FindingAgreement(
        finding=name,
        present=present,
        predicted=predicted,
        hits=hits,
        precision=score.precision,
        recall=score.recall,
        f1=score.f1,
        kappa=_kappa(hits, predicted, present, int(known.sum())),
    )


def _score(hits: int, predicted: int, present: int) -> Score:
    counts = (np.array(float(count)) for count in (hits, predicted - hits, present - hits))
    return Score(precision=_ratio(hits, predicted), recall=_ratio(hits, present), f1=_defined(f1_scores(*counts)))


def _kappa(hits: int, predicted: int, present: int, studies: int) -> float | None:
    """Return Cohen's kappa of two raters who say yes or no, from counts."""
    by_chance = predicted * present + (studies - predicted) * (studies - present)
    agreed = studies - predicted - present + 2 * hits
    return _ratio(agreed * studies - by_chance, studies * studies - by_chance)


def _example(true: Bool[np.ndarray, "studies findings"], said: Bool[np.ndarray, "studies findings"]) -> Score:
    hits, predicted, present = (true & said).sum(1), said.sum(1), true.sum(1)
    both_empty = (predicted == 0) & (present == 0)

    def mean(numerator: np.ndarray, denominator: np.ndarray) -> float:
        values = numerator / np.maximum(denominator, 1)
        return float(np.where(both_empty, 1.0, values).mean())

    return Score(precision=mean(hits, predicted), recall=mean(hits, present), f1=mean(2 * hits, predicted + present))


def _defined(score: Float64[np.ndarray, ""]) -> float | None:
    return None if np.isnan(score) else float(score)


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


Labels = Float32[np.ndarray, "studies findings"]
"""1 present, 0 not, NaN left out of scores; findings in the order of `FINDINGS`."""

GROUPS: Mapping[str, tuple[int, ...]] = {
    "13": tuple(FINDINGS.index(name) for name in ABNORMALITIES),
    "14": tuple(range(len(FINDINGS))),
    "5": tuple(FINDINGS.index(name) for name in COMMON_FIVE),
}
"""The findings that an average runs over: the abnormal ones, all, and CheXpert's five."""

MAIN = "macro-F1 of 13"
"""The score that a report of nothing but common sentences cannot raise."""

_NUM = len(FINDINGS)
_HITS, _FALSE, _MISSED = slice(0, _NUM), slice(_NUM, 2 * _NUM), slice(2 * _NUM, 3 * _NUM)
_COUNT = 3 * _NUM
_EXAMPLES = _COUNT + 1


class FindingReader:
    """Read findings from references and reports with one labeler, each text once."""

    def __init__(self, labeler: Labeler, uncertain: Uncertain = "positive") -> None:
        """Keep a labeler, and what becomes of the findings that it calls uncertain; nothing is read yet."""
        self._labeler = labeler
        self.uncertain: Uncertain = uncertain
        """What uncertain findings count as; the published evaluation counts them as present."""
        self._states: dict[str, dict[str, State]] = {}

    @property
    def name(self) -> str:
        """The labeler and its weights."""
        return self._labeler.name

    @property
    def candidates(self) -> int:
        """How many texts a baseline may look through; fewer where reading is slow."""
        return 20_000 if isinstance(self._labeler, RuleLabeler) else 500

    def states(self, report: str) -> dict[str, State]:
        """Return the state that a report gives each finding."""
        self.read([report])
        return self._states[report]

    def read(self, reports: Sequence[str]) -> None:
        """Read reports together, which is faster than one by one where the labeler is a network."""
        unread = [report for report in dict.fromkeys(reports) if report not in self._states]
        if unread:
            self._states.update(self._labeler.label_many((report, report) for report in unread))

    def labels(self, reports: Sequence[str]) -> Labels:
        """Return which findings each report says are present."""
        self.read(reports)
        return label_matrix(self._states, reports, self.uncertain)


def rule_reader() -> FindingReader:
    """Return a reader with the built-in rules, uncertain findings counted as present."""
    return FindingReader(RuleLabeler())


def present_labels(present: Sequence[Sequence[str]]) -> Labels:
    """Return the labels of studies from the names of their present findings; a study without one has No Finding."""
    states = {
        str(number): {name: State.POSITIVE for name in names if name in FINDINGS}
        for number, names in enumerate(present)
    }
    return label_matrix(states, list(states))


def whole_numbers(labels: Labels) -> Int64[np.ndarray, "studies findings"]:
    """Return labels as `agreement` takes them: 0, 1 and `IGNORED`."""
    return np.where(np.isnan(labels), IGNORED, labels).astype(np.int64)


def finding_statistics(truth: Labels, predicted: Labels) -> StudyStatistics:
    """Collect what each study adds to the micro, macro and example F1 of each of `GROUPS`, and to each finding's F1.

    Defined as in `agreement`: a finding that is neither there nor named is left out of the macro mean, and a study
    without a finding on either side has an example F1 of 1.
    """
    known = ~(np.isnan(truth) | np.isnan(predicted))
    there, named = (truth == 1) & known, (predicted == 1) & known
    hits, false, missed = (cells.astype(np.float64) for cells in (there & named, ~there & named, there & ~named))
    columns = [hits, false, missed, np.ones((len(truth), 1))]
    for chosen in GROUPS.values():
        group = np.array(chosen)
        f1 = f1_scores(*(counts[:, group].sum(axis=1) for counts in (hits, false, missed)))
        columns.append(np.where(np.isnan(f1), 1.0, f1)[:, None])
    return StudyStatistics(values=np.concatenate(columns, axis=1).astype(np.float64), score=_finding_scores)


def _finding_scores(sums: Sums) -> Scores:
    hits, false, missed = sums[:, _HITS], sums[:, _FALSE], sums[:, _MISSED]
    each = f1_scores(hits, false, missed)
    scores: Scores = {}
    for number, (name, chosen) in enumerate(GROUPS.items()):
        group = np.array(chosen)
        scores[f"macro-F1 of {name}"] = macro_f1(each[:, group])
        scores[f"micro-F1 of {name}"] = f1_scores(*(counts[:, group].sum(axis=1) for counts in (hits, false, missed)))
        scores[f"example-F1 of {name}"] = sums[:, _EXAMPLES + number] / sums[:, _COUNT]
    return scores | {name: each[:, number] for number, name in enumerate(FINDINGS)}
