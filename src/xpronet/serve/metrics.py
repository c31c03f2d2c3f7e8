"""Counts and durations in Prometheus's text format; nothing in them tells of a study."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0)
STUDIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Histogram:
    """How often values fell at or below each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start empty.

        Args:
            bounds: ascending; values above the last are counted too.
        """
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    @property
    def count(self) -> int:
        """How many values were noted."""
        return sum(self._counts)

    @property
    def mean(self) -> float:
        """Their mean, 0 before the first."""
        return self.total / self.count if self.count else 0.0

    def observe(self, value: float) -> None:
        """Note a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str) -> list[str]:
        """Return the histogram's lines: cumulative buckets, sum and count."""
        lines, below = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self._counts, strict=True):
            below += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {below}')
        return [*lines, f"{name}_sum {self.total:.6f}", f"{name}_count {below}"]


class Metrics:
    """What the server tells about itself."""

    def __init__(self) -> None:
        """Start at zero."""
        self.answer_seconds = Histogram(SECONDS)
        self.batch_studies = Histogram(STUDIES)
        self.batch_seconds = Histogram(SECONDS)
        self._answers: Counter[tuple[str, int]] = Counter()
        self.worker_restarts = 0

    def answered(self, route: str, status: int) -> None:
        """Count an answer.

        Args:
            route: the route's own path, never the one asked for.
            status: HTTP status.
        """
        self._answers[route, status] += 1

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Return everything in Prometheus's text format.

        Args:
            gauges: for each name its help text and its present value.
        """
        lines = _head("requests_total", "counter", "Answers by route and status.")
        lines += [
            f'xpronet_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self._answers.items())
        ]
        lines += _head("worker_restarts_total", "counter", "Model processes started anew after a failure.")
        lines.append(f"xpronet_worker_restarts_total {self.worker_restarts}")
        for name, histogram, told in (
            ("answer_seconds", self.answer_seconds, "From the whole upload to the report."),
            ("batch_studies", self.batch_studies, "Studies written about at a time."),
            ("batch_seconds", self.batch_seconds, "Time of a batch in the model."),
        ):
            lines += _head(name, "histogram", told) + histogram.lines(f"xpronet_{name}")
        for name, (told, value) in gauges.items():
            lines += [*_head(name, "gauge", told), f"xpronet_{name} {value:g}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP xpronet_{name} {told}", f"# TYPE xpronet_{name} {kind}"]
