"""F1 of findings from counts: the one definition that validation while training and scorecards share."""

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float64

from xpronet.labels.findings import ABNORMALITIES, FINDINGS

ABNORMAL_COLUMNS = tuple(FINDINGS.index(name) for name in ABNORMALITIES)
"""The 13 abnormalities among the columns of `FINDINGS`: all but "No Finding"."""


def f1_scores(
    hits: Float64[np.ndarray, "..."], false: Float64[np.ndarray, "..."], missed: Float64[np.ndarray, "..."]
) -> Float64[np.ndarray, "..."]:
    """Return F1 = 2·TP / (2·TP + FP + FN), element by element; NaN where there are neither positives nor predictions.

    Args:
        hits: true positives.
        false: false positives.
        missed: false negatives.
    """
    return _ratio(2.0 * hits, 2.0 * hits + false + missed)


def macro_f1(scores: Float64[np.ndarray, "*samples findings"]) -> Float64[np.ndarray, "*samples"]:
    """Return the mean F1 over the findings for which it is defined; NaN where there is none.

    A finding without positives and without predictions is left out: it says nothing about the predictions, and an F1
    of 0 or 1 in its place would move the mean with the number of rare findings that a split happens to lack.
    """
    return _ratio(np.nansum(scores, axis=-1), (~np.isnan(scores)).sum(axis=-1, dtype=np.float64))


def abnormality_f1(
    truth: Bool[np.ndarray, "studies findings"], predicted: Bool[np.ndarray, "studies findings"]
) -> float | None:
    """Return the macro-F1 of the 13 abnormalities, as the field reports it; None where no study has or is given one.

    Args:
        truth: the labels, columns in the order of `FINDINGS`.
        predicted: the predictions, likewise.
    """
    assert truth.shape[1] == len(FINDINGS)
    true, said = truth[:, ABNORMAL_COLUMNS], predicted[:, ABNORMAL_COLUMNS]
    counts = [cells.sum(axis=0, dtype=np.float64) for cells in (true & said, ~true & said, true & ~said)]
    mean = float(macro_f1(f1_scores(*counts)))
    return None if np.isnan(mean) else mean


def _ratio(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> Float64[np.ndarray, "..."]:
    """Return numerator / denominator, NaN where the denominator is 0; numbers are arrays without axes."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
