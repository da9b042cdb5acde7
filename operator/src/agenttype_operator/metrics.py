"""Metrics of the operator; labels come from closed lists."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """All metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "agenttype_operator_reconcile_seconds",
            "Time of one reconcile, API calls included.",
            ["kind"],
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self.queue_depth = self._gauge("queue_depth", "Objects that wait for a worker.")
        self.leading = self._gauge("leading", "1 while this replica holds the Lease.")
        self.stopped = self._gauge("stopped_agents", "Agents that StopAgent keeps at zero; 0 where this does not lead.")
        self.reconcile_errors = self._counter("reconcile_errors", "Reconciles that failed.", "reason")
        self.writes = self._counter("writes", "Writes sent to the API server, the Lease's aside.", "kind", "verb")
        self.restarts = self._counter("watch_restarts", "Times that watching ended and was started again.")
        self.outdated_crds = self._gauge("outdated_crds", "CRDs that differ from ours; 0 where this does not lead.")
        self.relists = self._counter("relists", "Kinds that were listed again because events were lost.")

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"agenttype_operator_{name}", text, registry=self._registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"agenttype_operator_{name}", text, labels, registry=self._registry)
