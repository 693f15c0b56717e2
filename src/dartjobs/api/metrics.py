"""What this API server counts. Labels have few values: routes by their template, never by what was asked for."""

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dartjobs.models.problem import UnavailableError
from dartjobs.models.state import ResourceState
from dartjobs.services.platform import Platform
from dartjobs.store.attempts import count_live

_UNKNOWN = "unknown"
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_COUNTED_SECONDS = 15.0
_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCHES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Metrics:
    """The counters of one application, in a registry of their own."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._registry = CollectorRegistry()
        self._counted_at = float("-inf")
        self._latency = Histogram(
            "dartjobs_api_request_seconds",
            "Time from a request's head to the head of its response.",
            ["method", "route", "status"],
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self._batches = Histogram(
            "dartjobs_api_submissions_per_transaction",
            "Jobs that one transaction recorded; the sum is all submissions.",
            buckets=_BATCHES,
            registry=self._registry,
        )
        self._unavailable = Counter(
            "dartjobs_api_unavailable",
            "Requests answered 503: the database or the object store was away.",
            registry=self._registry,
        )
        self._attempts = Gauge(
            "dartjobs_attempts",
            f"Attempts that are not TERMINATED, counted at most every {_COUNTED_SECONDS:g} s.",
            ["resource_state"],
            registry=self._registry,
        )
        platform.submissions.on_commit = self._batches.observe

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._latency.labels(method if method in _METHODS else _UNKNOWN, route, status).observe(seconds)
        if status == UnavailableError.status:
            self._unavailable.inc()

    async def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        await self._count_attempts()
        return generate_latest(self._registry)

    async def _count_attempts(self) -> None:
        if time.monotonic() - self._counted_at < _COUNTED_SECONDS:
            return
        try:
            counts = await self._platform.database.read(count_live)
        except UnavailableError:
            return
        self._counted_at = time.monotonic()
        for state in ResourceState:
            if state is not ResourceState.TERMINATED:
                self._attempts.labels(state.value).set(counts.get(state, 0))


class Measure:
    """Times every request until its response begins."""

    def __init__(self, app: ASGIApp, metrics: Metrics, templates: Mapping[object, str]) -> None:
        """Make one; `templates`: by endpoint the route's path, with the names of its parameters."""
        self._app = app
        self._metrics = metrics
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - began
                route = self._templates.get(scope.get("endpoint"), _UNKNOWN)
                self._metrics.answered(scope["method"], route, message["status"], seconds)
            await send(message)

        await self._app(scope, receive, send_counted)
