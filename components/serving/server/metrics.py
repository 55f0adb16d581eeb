"""What Prometheus is told."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

# Powers of two: sizes that requests can have together.
_ROWS = tuple(2.0**power for power in range(12))


class Metrics:
    """Of one server.

    Attributes:
      requests: answered, by method and status.
      seconds: of requests, by method.
      in_progress: requests to predict that are being answered.
      rows: of a call of the model.
      merged: requests of a call of the model.
      version: the newest that is served.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "tfx_gan_requests",
            "Requests answered.",
            ["method", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "tfx_gan_request_seconds",
            "From request to answer.",
            ["method"],
            registry=self._registry,
        )
        self.in_progress = Gauge(
            "tfx_gan_requests_in_progress",
            "Requests to predict that are being answered.",
            registry=self._registry,
        )
        self.rows = Histogram(
            "tfx_gan_call_rows",
            "Rows of a call of the model.",
            buckets=_ROWS,
            registry=self._registry,
        )
        self.merged = Histogram(
            "tfx_gan_call_requests",
            "Requests that a call of the model answers.",
            buckets=_ROWS,
            registry=self._registry,
        )
        self.version = Gauge(
            "tfx_gan_version", "The newest version that is served.", registry=self._registry
        )

    def called(self, rows: int, requests: int) -> None:
        """Counts a call of the model."""
        self.rows.observe(rows)
        self.merged.observe(requests)

    def answered(self, method: str, status: int, seconds: float) -> None:
        """Counts an answer."""
        self.requests.labels(method, str(status)).inc()
        self.seconds.labels(method).observe(seconds)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
