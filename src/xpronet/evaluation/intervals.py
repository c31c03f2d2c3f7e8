"""Scores as functions of sums over studies, their 95 % intervals, and paired tests."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from xpronet.errors import InputError

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


RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A score with its 95 % interval over studies."""

    value: float
    """The score of all studies."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much one set of reports scores above another on the same studies."""

    value: float
    """First minus second."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""
    p_value: float
    """Share of random exchanges between the two sets that differ at least as much."""


def intervals(statistics: StudyStatistics, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, Estimate]:
    """Return each score that is defined with its percentile interval over resampled studies.

    Raises:
        InputError: there is no study.
    """
    weights = _resamples(len(statistics), resamples, seed)
    values, samples = statistics.totals(), statistics.weighted(weights)
    return {
        name: Estimate(value=value, **_ends(samples[name])) for name, value in values.items() if not np.isnan(value)
    }


def compare(
    first: StudyStatistics, second: StudyStatistics, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Difference]:
    """Compare two sets of reports on the same studies.

    The interval resamples studies, the same for both sets. The p-value exchanges the two reports of a random half of
    the studies (approximate randomisation), and counts the observed difference as one of the exchanges.

    Args:
        first: statistics of one set of reports.
        second: statistics of the other, the same studies in the same order, against the same references.
        resamples: of studies for the interval, and of exchanges for the p-value.
        seed: of both.
    """
    assert len(first) == len(second)
    values = _difference(_single(first.totals()), _single(second.totals()))
    weights = _resamples(len(first), resamples, seed)
    samples = _difference(first.weighted(weights), second.weighted(weights))
    stay = np.random.default_rng([seed, 1]).integers(0, 2, (resamples, len(first))).astype(np.float64)
    both = first.joined(second)
    exchanged = _difference(
        both.weighted(np.concatenate([stay, 1 - stay], axis=1)), both.weighted(np.concatenate([1 - stay, stay], axis=1))
    )
    return {
        name: Difference(
            value=float(value[0]), p_value=_p_value(float(value[0]), exchanged[name]), **_ends(samples[name])
        )
        for name, value in values.items()
        if not np.isnan(value[0])
    }


@lru_cache(maxsize=2)
def _resamples(studies: int, resamples: int, seed: int) -> Float64[np.ndarray, "resamples studies"]:
    """Return how often each study stands in each resample; the same seed and studies give the same resamples."""
    if studies < 1 or resamples < 1:
        raise InputError(f"intervals need at least one study and one resample, not {studies} and {resamples}")
    random = np.random.default_rng([seed, 0])
    return random.multinomial(studies, np.full(studies, 1 / studies), size=resamples).astype(np.float64)


def _ends(samples: Float64[np.ndarray, " resamples"]) -> dict[str, float]:
    # A rare finding is in none of the studies of some resamples; they say nothing of its score.
    low, high = np.nanquantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"low": float(low), "high": float(high)}


def _p_value(observed: float, exchanged: Float64[np.ndarray, " resamples"]) -> float:
    # A hair below the observed value, so that rounding does not set equal differences apart.
    as_large = int((np.abs(exchanged) >= abs(observed) - 1e-12).sum())
    return (as_large + 1) / (len(exchanged) + 1)


def _single(values: dict[str, float]) -> Scores:
    return {name: np.array([value]) for name, value in values.items()}


def _difference(first: Scores, second: Scores) -> Scores:
    return {name: first[name] - second[name] for name in first if name in second}
