"""The metrics that all parts of a sidecar share, declared once.

Labels come from closed lists: models, adapters and tools of the policy, outcomes and sources of ours; anything else
counts as "other". Gauges are read at a scrape. Metrics never make a call fail.
"""

from typing import Final

from agenttype_api.refusal_reasons import RefusalReason
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest

OTHER: Final = "other"
#: The format of `Metrics.text`.
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The sidecar's metrics; `text` is what `/metrics` answers."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._rejections = Counter(
            "agenttype_budget_rejections", "Calls that a limit refused.", ("limit", "reason"), registry=registry
        )
        self._overspends = Counter(
            "agenttype_budget_overspend",
            "Settlements that left more spent than the limit: must stay 0.",
            ("limit",),
            registry=registry,
        )
        self.clamped = Counter(
            "agenttype_budget_clamped", "Calls whose answer was shortened to what was left.", registry=registry
        )
        self.orphans = Counter(
            "agenttype_holds_orphaned",
            "Calls in flight when a former process died, charged in full at the start.",
            registry=registry,
        )
        self.ledger_errors = Counter("agenttype_ledger_errors", "Writes of the ledger that failed.", registry=registry)
        self.reload_errors = Counter(
            "agenttype_policy_reload_errors", "Policy documents that could not be used.", registry=registry
        )
        self._refusals = Counter(
            "agenttype_refusals", "Calls to models and tools that policy refused.", ("reason",), registry=registry
        )

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def rejected(self, limit: str, reason: RefusalReason) -> None:
        """Count a call that a limit refused."""
        self._rejections.labels(limit, reason).inc()

    def overspent(self, limit: str) -> None:
        """Count a limit that a settlement left exceeded."""
        self._overspends.labels(limit).inc()

    def refused(self, reason: RefusalReason) -> None:
        """Count a call that policy refused, to a model or a tool."""
        self._refusals.labels(reason).inc()
