"""Findings read from reports: what each study adds to their F1 scores."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from xpronet.evaluate.statistics import Scores, StudyStatistics, Sums
from xpronet.labels.findings import ABNORMALITIES, COMMON_FIVE, FINDINGS, IGNORED, State
from xpronet.labels.tables import label_matrix

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
    """Read findings with one labeler, each text once."""

    def __init__(self, label: Callable[[str], dict[str, State]]) -> None:
        """Keep a labeler's reading of one report; nothing is read yet."""
        self._label = label
        self._states: dict[str, dict[str, State]] = {}

    def states(self, report: str) -> dict[str, State]:
        """Return the state that a report gives each finding."""
        if report not in self._states:
            self._states[report] = self._label(report)
        return self._states[report]

    def labels(self, reports: Sequence[str]) -> Labels:
        """Return which findings each report says are present; an uncertain one counts as present, as published."""
        return label_matrix({report: self.states(report) for report in reports}, reports)


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
        f1 = _f1(*(counts[:, group].sum(axis=1) for counts in (hits, false, missed)))
        columns.append(np.where(np.isnan(f1), 1.0, f1)[:, None])
    return StudyStatistics(values=np.concatenate(columns, axis=1).astype(np.float64), score=_finding_scores)


def _finding_scores(sums: Sums) -> Scores:
    hits, false, missed = sums[:, _HITS], sums[:, _FALSE], sums[:, _MISSED]
    each = _f1(hits, false, missed)
    scores: Scores = {}
    for number, (name, chosen) in enumerate(GROUPS.items()):
        group = np.array(chosen)
        scores[f"macro-F1 of {name}"] = _ratio(
            np.nansum(each[:, group], axis=1), (~np.isnan(each[:, group])).sum(axis=1, dtype=np.float64)
        )
        scores[f"micro-F1 of {name}"] = _f1(*(counts[:, group].sum(axis=1) for counts in (hits, false, missed)))
        scores[f"example-F1 of {name}"] = sums[:, _EXAMPLES + number] / sums[:, _COUNT]
    return scores | {name: each[:, number] for number, name in enumerate(FINDINGS)}


def _f1(
    hits: Float64[np.ndarray, "..."], false: Float64[np.ndarray, "..."], missed: Float64[np.ndarray, "..."]
) -> Float64[np.ndarray, "..."]:
    return _ratio(2.0 * hits, 2.0 * hits + false + missed)


def _ratio(above: Float64[np.ndarray, "..."], below: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """Return above / below, NaN where that is 0/0."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
