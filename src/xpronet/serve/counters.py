"""Counts and durations for Prometheus; none of them says anything about a study."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

PREFIX = "xpronet"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0)
STUDIES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        """Start at zero."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "requests", "Requests by route and status.", ("route", "status"), namespace=PREFIX, registry=self._registry
        )
        self.worker_restarts = Counter(
            "worker_restarts", "Model processes restarted after a failure.", namespace=PREFIX, registry=self._registry
        )
        self.answer_seconds = self._histogram("answer_seconds", "From the complete upload to the report.", SECONDS)
        self.batch_studies = self._histogram("batch_studies", "Studies in a batch.", STUDIES)
        self.batch_seconds = self._histogram("batch_seconds", "Time that the model takes for a batch.", SECONDS)

    def add_gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is asked for whenever the metrics are read."""
        Gauge(name, description, namespace=PREFIX, registry=self._registry).set_function(value)

    @property
    def mean_batch_seconds(self) -> float:
        """Mean time that the model takes for a batch; 0 before the first."""
        total, count = (
            self._registry.get_sample_value(f"{PREFIX}_batch_seconds_{each}") or 0.0 for each in ("sum", "count")
        )
        return total / count if count else 0.0

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, description, namespace=PREFIX, buckets=buckets, registry=self._registry)
