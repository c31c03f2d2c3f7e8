"""Conformal risk control: a threshold on scores that bounds the expected share of false claims among those shown.

After Angelopoulos, Bates, Fisch, Lei and Schuster, "Conformal Risk Control" (ICLR 2024), theorem 1. Each claim of a
study has a score and is shown where this is at least the threshold t. The loss of study i is the share of its shown
claims that are false, 0 where none is shown. This share need not fall as t rises, which the theorem asks for, so its
largest value at t or above stands for it:

    L_i(t) = max over s >= t of (false claims with score >= s) / max(1, claims with score >= s)

L_i never rises with t, is at most 1, and is no less than the share. With n calibration studies that are exchangeable
with the next one, the smallest t with

    (L_1(t) + ... + L_n(t) + 1) / (n + 1) <= bound

therefore keeps the expected share of false claims that are shown in the next study at or below the bound, whatever the
scores are worth. Where even showing nothing leaves 1 / (n + 1) above the bound, there are too few calibration studies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from xpronet.errors import InputError

Scores = Float[np.ndarray, " _"]
Flags = Bool[np.ndarray, " _"]


@dataclass(frozen=True, kw_only=True)
class RiskCurve:
    """What each threshold guarantees, by the calibration studies."""

    thresholds: tuple[float, ...]
    """Rising scores; a claim is shown where its score is at least the threshold."""
    bounds: tuple[float, ...]
    """For each threshold, what the expected share of false claims among those shown does not exceed."""
    studies: int
    """Calibration studies."""

    @property
    def least(self) -> float:
        """Return the lowest bound that any threshold can meet, by showing nothing."""
        return 1 / (self.studies + 1)

    def threshold(self, max_error: float) -> float | None:
        """Return the lowest threshold that keeps the bound; None where all that keeps it is to show nothing.

        Raises:
            InputError: the bound is no share, or no threshold can meet it with so few calibration studies.
        """
        check_max_error(max_error)
        if max_error < self.least:
            raise InputError(
                f"--max-error {max_error:g}: {self.studies} calibration studies allow no bound below {self.least:.4f}; "
                "calibrate on more studies or choose a higher bound"
            )
        met = (threshold for threshold, bound in zip(self.thresholds, self.bounds, strict=True) if bound <= max_error)
        return next(met, None)


def check_max_error(max_error: float) -> None:
    """Check that a bound is a share.

    Raises:
        InputError: it is not between 0 and 1.
    """
    if not 0 < max_error < 1:
        raise InputError(f"--max-error {max_error:g}: must lie between 0 and 1, such as 0.05")


def risk_curve(studies: Sequence[tuple[Scores, Flags]]) -> RiskCurve:
    """Return what each score guarantees as a threshold.

    Args:
        studies: the scores of each calibration study's claims, and which of them are false.

    Raises:
        InputError: there is no calibration study.
    """
    if not studies:
        raise InputError("no calibration study: the corpus has none in this split")
    every = np.unique(np.concatenate([scores for scores, _ in studies]).astype(np.float64))
    total = np.zeros(len(every))
    for scores, false in studies:
        levels, losses = study_losses(scores, false)
        if len(levels):
            # The loss at t is that at the lowest of the study's own scores from t on; above all of them it is 0.
            total += np.append(losses, 0.0)[np.searchsorted(levels, every)]
    bounds = (total + 1) / (len(studies) + 1)
    # Only the first of several thresholds with one bound is ever chosen.
    first = np.concatenate([[True], bounds[1:] < bounds[:-1]]) if len(every) else np.zeros(0, bool)
    return RiskCurve(
        thresholds=tuple(every[first].tolist()), bounds=tuple(bounds[first].tolist()), studies=len(studies)
    )


def study_losses(scores: Scores, false: Flags) -> tuple[Float64[np.ndarray, " levels"], Float64[np.ndarray, " levels"]]:
    """Return the different scores of a study's claims, rising, and L at each of them as the threshold."""
    order = np.argsort(scores, kind="stable")[::-1]
    ranked = scores[order].astype(np.float64)
    shares = np.cumsum(false[order]) / np.arange(1, len(ranked) + 1)
    # Claims of one score are shown together.
    lasts = np.append(ranked[1:] != ranked[:-1], True) if len(ranked) else np.zeros(0, bool)
    losses = np.maximum.accumulate(shares[lasts])
    return ranked[lasts][::-1], losses[::-1]


def share_false(scores: Scores, false: Flags, threshold: float | None) -> float:
    """Return the share of a study's shown claims that are false; 0 where none is shown."""
    shown = scores >= threshold if threshold is not None else np.zeros(len(scores), bool)
    return float(false[shown].mean()) if shown.any() else 0.0
