"""Scores as functions of sums over studies, so that any subset or resample is scored without its texts."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

RESAMPLES_AT_ONCE = 250
"""Rows of weights multiplied in one go: 250 x 3,858 studies are 8 MB."""

Sums = Float64[np.ndarray, "samples columns"]
Scores = dict[str, Float64[np.ndarray, " samples"]]


@dataclass(frozen=True, kw_only=True)
class StudyStatistics:
    """One row of numbers a study, and the function that makes scores of their column sums."""

    values: Float64[np.ndarray, "studies columns"]
    """What each study adds."""
    score: Callable[[Sums], Scores]
    """Turns sums over studies, one row a sample, into scores by name."""

    def __len__(self) -> int:
        return len(self.values)

    def totals(self) -> dict[str, float]:
        """Return the scores of all studies together."""
        scores = self.score(self.values.sum(axis=0, keepdims=True))
        return {name: float(values[0]) for name, values in scores.items()}

    def weighted(self, weights: Float64[np.ndarray, "samples studies"]) -> Scores:
        """Return the scores of samples in which study i stands weights[:, i] times."""
        blocks = [
            self.score(weights[start : start + RESAMPLES_AT_ONCE] @ self.values)
            for start in range(0, len(weights), RESAMPLES_AT_ONCE)
        ]
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def subset(self, studies: Int64[np.ndarray, " chosen"]) -> "StudyStatistics":
        """Return the statistics of the studies at these positions."""
        return StudyStatistics(values=self.values[studies], score=self.score)

    def joined(self, other: "StudyStatistics") -> "StudyStatistics":
        """Return the statistics of both: the rows of this one, then those of `other`."""
        return StudyStatistics(values=np.concatenate([self.values, other.values]), score=self.score)
