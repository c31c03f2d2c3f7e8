"""95 % intervals over studies, and whether two sets of reports differ by more than chance."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64

from xpronet.errors import InputError
from xpronet.evaluate.statistics import Scores, StudyStatistics

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

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


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
