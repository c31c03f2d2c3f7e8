"""Whether the model's probabilities are frequencies: reliability curves and expected calibration errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from xpronet.evaluation.finding_f1 import Labels
from xpronet.evaluation.intervals import Estimate, Scores, StudyStatistics, Sums, intervals
from xpronet.evaluation.prediction_files import Prediction
from xpronet.labels.findings import ABNORMALITIES

BINS = 10
"""Of equal width."""
DRAWS = 200
"""Of labels that the probabilities would give if they were right."""
OVERALL = "all findings"


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The cases that were given about the same probability."""

    low: float
    """Lower end of the probabilities."""
    high: float
    """Upper end."""
    cases: int
    """How many there are: pairs of a study and a finding."""
    said: float | None
    """Their mean probability; None where there are none."""
    seen: float | None
    """The share of them in which the finding is there."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """How far the probabilities of a finding, or of all, are from frequencies."""

    finding: str
    """Its name, or `OVERALL`."""
    error: Estimate
    """Expected calibration error: the mean distance of said and seen over the bins, weighted by their cases."""
    by_chance: float
    """The error that probabilities which are right would show on as many cases."""
    bins: tuple[Bin, ...]
    """The reliability curve."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far the probabilities of the thirteen abnormal findings are from frequencies."""

    overall: Reliability
    """Of all pairs of a study and a finding in one heap."""
    findings: tuple[Reliability, ...]
    """Of each finding."""


def calibration(predictions: Sequence[Prediction], truth: Labels, *, seed: int = 0) -> Calibration | None:
    """Compare the probabilities in predictions with what is there; None where a prediction has none.

    Args:
        predictions: one a study.
        truth: the findings that are there; NaN is left out.
        seed: of the resamples.
    """
    rows = []
    for prediction in predictions:
        if prediction.probabilities is None or not set(ABNORMALITIES) <= prediction.probabilities.keys():
            return None
        rows.append([prediction.probabilities[name] for name in ABNORMALITIES])
    said = np.array(rows, dtype=np.float64)
    there = truth[:, : len(ABNORMALITIES)].astype(np.float64)
    each = tuple(
        _reliability(name, said[:, [column]], there[:, [column]], seed) for column, name in enumerate(ABNORMALITIES)
    )
    return Calibration(overall=_reliability(OVERALL, said, there, seed), findings=each)


def calibration_error(
    said: Float64[np.ndarray, "studies findings"], there: Float64[np.ndarray, "studies findings"]
) -> StudyStatistics:
    """Collect what each study adds to the bins, and so to the expected calibration error of all cases in one heap."""
    known = ~np.isnan(there)
    numbers = _numbers(said)
    columns = []
    for values in (np.ones_like(said), said, np.where(known, there, 0.0)):
        columns += [np.where(known & (numbers == number), values, 0.0).sum(1) for number in range(BINS)]
    return StudyStatistics(values=np.stack(columns, axis=1), score=_error)


def _error(sums: Sums) -> Scores:
    cases, said, seen = sums[:, :BINS], sums[:, BINS : 2 * BINS], sums[:, 2 * BINS :]
    total = cases.sum(1)
    return {"ECE": np.divide(np.abs(said - seen).sum(1), total, out=np.full_like(total, np.nan), where=total > 0)}


def _numbers(said: Float64[np.ndarray, "studies findings"]) -> Int64[np.ndarray, "studies findings"]:
    return np.clip((said * BINS).astype(np.int64), 0, BINS - 1)


def _reliability(
    name: str, said: Float64[np.ndarray, "studies findings"], there: Float64[np.ndarray, "studies findings"], seed: int
) -> Reliability:
    statistics = calibration_error(said, there)
    random = np.random.default_rng([seed, 7])
    drawn = [
        calibration_error(said, np.where(np.isnan(there), np.nan, random.random(said.shape) < said)).totals()["ECE"]
        for _ in range(DRAWS)
    ]
    cases, of_said, of_seen = statistics.values.sum(0).reshape(3, BINS)
    return Reliability(
        finding=name,
        error=intervals(statistics, seed=seed).get("ECE", Estimate(value=0.0, low=0.0, high=0.0)),
        by_chance=float(np.nan_to_num(np.mean(drawn))),
        bins=tuple(
            Bin(
                low=number / BINS,
                high=(number + 1) / BINS,
                cases=int(cases[number]),
                said=float(of_said[number] / cases[number]) if cases[number] else None,
                seen=float(of_seen[number] / cases[number]) if cases[number] else None,
            )
            for number in range(BINS)
        ),
    )
