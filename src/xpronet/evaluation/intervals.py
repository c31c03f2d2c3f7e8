"""Scores as functions of sums over studies, their 95 % intervals, and paired tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64, UInt16

from xpronet.errors import InputError

RESAMPLES_AT_ONCE = 250
"""Rows of weights multiplied in one go: 250 x 30,000 studies are 60 MB."""

Sums = Float64[np.ndarray, "samples columns"]
Scores = dict[str, Float64[np.ndarray, " samples"]]
Weights = Float64[np.ndarray, "samples studies"] | UInt16[np.ndarray, "samples studies"]
"""How often each study stands in each sample."""


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

    def weighted(self, weights: Weights) -> Scores:
        """Return the scores of samples in which study i stands weights[:, i] times."""
        return _joined([self.score(block @ self.values) for block in _blocks(weights)])

    def subset(self, studies: Int64[np.ndarray, " chosen"]) -> "StudyStatistics":
        """Return the statistics of the studies at these positions."""
        return StudyStatistics(values=self.values[studies], score=self.score)


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
    exchanged = _exchanged(first, second, resamples, seed)
    return {
        name: Difference(
            value=float(value[0]), p_value=_p_value(float(value[0]), exchanged[name]), **_ends(samples[name])
        )
        for name, value in values.items()
        if not np.isnan(value[0])
    }


@lru_cache(maxsize=2)
def _resamples(studies: int, resamples: int, seed: int) -> UInt16[np.ndarray, "resamples studies"]:
    """Return how often each study stands in each resample; the same seed and studies give the same resamples."""
    if studies < 1 or resamples < 1:
        raise InputError(f"intervals need at least one study and one resample, not {studies} and {resamples}")
    random = np.random.default_rng([seed, 0])
    shares = np.full(studies, 1 / studies)
    blocks = [random.multinomial(studies, shares, size=size).astype(np.uint16) for size in _sizes(resamples)]
    return np.concatenate(blocks)


def _exchanged(first: StudyStatistics, second: StudyStatistics, resamples: int, seed: int) -> Scores:
    """Return differences between two sets that have exchanged the reports of a random half of the studies."""
    random = np.random.default_rng([seed, 1])
    whole = first.values.sum(axis=0) + second.values.sum(axis=0)
    differences = []
    for size in _sizes(resamples):
        stay = random.integers(0, 2, (size, len(first))).astype(np.float64)
        # What is not in one set after the exchange is in the other.
        ours = stay @ (first.values - second.values) + second.values.sum(axis=0)
        differences.append(_difference(first.score(ours), second.score(whole - ours)))
    return _joined(differences)


def _sizes(resamples: int) -> list[int]:
    """Return the numbers of resamples that are worked on together."""
    return [min(RESAMPLES_AT_ONCE, resamples - done) for done in range(0, resamples, RESAMPLES_AT_ONCE)]


def _blocks(weights: Weights) -> Iterator[Float64[np.ndarray, "samples studies"]]:
    for start in range(0, len(weights), RESAMPLES_AT_ONCE):
        yield weights[start : start + RESAMPLES_AT_ONCE].astype(np.float64)


def _joined(blocks: Sequence[dict[str, Float64[np.ndarray, " _"]]]) -> dict[str, Float64[np.ndarray, " _"]]:
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


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
