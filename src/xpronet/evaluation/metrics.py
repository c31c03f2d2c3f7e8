"""Metrics beside the built-in ones: a small protocol, and what a scorecard does with a metric that fulfils it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from xpronet.errors import InputError
from xpronet.evaluation.intervals import Scores, StudyStatistics, Sums
from xpronet.evaluation.package_metrics import make_package_metric
from xpronet.extensions import check_fulfils, is_outside, load_object

WHAT = "metric"


@runtime_checkable
class Metric(Protocol):
    """Scores each report against its reference; the scorecard adds means, intervals, baselines and abnormal studies."""

    @property
    def name(self) -> str:
        """What the score is called in tables."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger score is a better one."""
        ...

    @property
    def citation(self) -> str:
        """Where the metric is defined, with the version and weights in use."""
        ...

    def score(self, references: Sequence[str], reports: Sequence[str]) -> Sequence[float]:
        """Return one score a study, texts as their authors wrote them."""
        ...


def make_metric(name: str) -> Metric:
    """Make the metric of a name.

    Args:
        name: a metric of another package as `make_package_metric` knows it, with "=WEIGHTS" behind it where they are
            not the package's own; or "python:package.module:object", a class or function that takes nothing.

    Raises:
        InputError: there is no such metric or object, its package or weights are missing, or what an object makes is no
            metric.
    """
    if not is_outside(name):
        metric, _, weights = name.partition("=")
        return make_package_metric(metric, weights or None)
    made = load_object(name, what=WHAT, allow_code=True)()
    check_fulfils(made, Metric, name=name, what=WHAT)
    assert isinstance(made, Metric)
    return made


def metric_statistics(metric: Metric, references: Sequence[str], reports: Sequence[str]) -> StudyStatistics:
    """Return what each study adds to the mean of a metric.

    Raises:
        InputError: the metric gives another number of scores than there are studies, or one that is no number.
    """
    values = np.asarray(metric.score(references, reports), dtype=np.float64)
    if values.shape != (len(references),):
        raise InputError(f"{WHAT} {metric.name}: gives {values.size} scores for {len(references)} studies")
    if not np.isfinite(values).all():
        raise InputError(
            f"{WHAT} {metric.name}: the score of study {int(np.argmin(np.isfinite(values))) + 1} is no number"
        )

    def mean(sums: Sums) -> Scores:
        return {metric.name: sums[:, 0] / sums[:, 1]}

    return StudyStatistics(values=np.stack([values, np.ones_like(values)], axis=1), score=mean)
