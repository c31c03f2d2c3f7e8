"""F1 of findings as other papers print it: scikit-learn's averages, in which what is undefined counts as 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from xpronet.evaluation.finding_f1 import DEFINITIONS, Labels
from xpronet.labels.findings import FINDINGS

Average = Literal["micro", "macro", "example"]

AVERAGES: Mapping[Average, str] = {"micro": "micro", "macro": "macro", "example": "samples"}
"""Our names of the averages, and scikit-learn's."""


@dataclass(frozen=True, kw_only=True)
class FieldF1:
    """One average over one group of findings."""

    findings: str
    """How many findings it runs over: "14", "13" or "5"."""
    average: Average
    """Over all labels in one heap, over findings, or over studies."""
    precision: float
    """The share of the named findings that are there."""
    recall: float
    """The share of the findings that are there which are named."""
    f1: float
    """The average of F1, which for macro is not that of the averages."""


def field_f1(truth: Labels, predicted: Labels) -> tuple[FieldF1, ...]:
    """Return micro, macro and example F1 over 14, 13 and 5 findings, as `sklearn.metrics` computes them.

    Unlike the scores of the scorecard, a finding that neither side has counts as 0 in the macro mean, and so does a
    study without findings on either side in the example mean (`zero_division=0`). A label that is left out on either
    side counts as not there on both.
    """
    from sklearn.metrics import precision_recall_fscore_support

    known = ~(np.isnan(truth) | np.isnan(predicted))
    true, said = (truth == 1) & known, (predicted == 1) & known
    rows = []
    for group, names in DEFINITIONS.items():
        columns = [FINDINGS.index(name) for name in names]
        for ours, theirs in AVERAGES.items():
            precision, recall, f1, _ = precision_recall_fscore_support(
                true[:, columns], said[:, columns], average=theirs, zero_division=0
            )
            rows.append(
                FieldF1(findings=group, average=ours, precision=float(precision), recall=float(recall), f1=float(f1))
            )
    return tuple(rows)
