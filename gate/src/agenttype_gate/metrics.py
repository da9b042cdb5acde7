"""The gate's metrics. Labels come from the gate document or from a closed list; anything else is `other`."""

from collections.abc import Iterable
from typing import Final

from agenttype_api.gate_policy import AdapterReport, AdapterState
from agenttype_api.refusal_reasons import RefusalReason
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

OTHER: Final = "other"
_LOAD_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """One process's metrics, in their own registry."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "agenttype_gate_requests",
            "Calls answered, by what came out.",
            ("agent_type", "model", "code"),
            registry=registry,
        )
        self._refusals = Counter(
            "agenttype_gate_refusals", "Calls that the gate refused, by why.", ("reason",), registry=registry
        )
        self._reviews = Counter("agenttype_gate_reviews", "Token reviews asked for.", ("result",), registry=registry)
        self._adapters = Gauge("agenttype_gate_adapters", "Wanted adapters by state.", ("state",), registry=registry)
        self._load_seconds = Histogram(
            "agenttype_gate_adapter_load_seconds",
            "From the first look at an adapter's files to its first answer.",
            buckets=_LOAD_BUCKETS,
            registry=registry,
        )
        self._probe_tokens = Counter(
            "agenttype_gate_probe_tokens",
            "Tokens that the controller's own probes took: what the engine counted and no agent spent.",
            ("direction",),
            registry=registry,
        )
        self._engine_ready = Gauge("agenttype_gate_engine_ready", "1 while the engine answers.", registry=registry)
        self._policy_refused = Gauge(
            "agenttype_gate_policy_refused", "1 while a newer gate document is refused.", registry=registry
        )
        for direction in ("input", "output"):
            self._probe_tokens.labels(direction)
        for result in ("accepted", "refused", "unavailable"):
            self._reviews.labels(result)

    def answered(self, agent_type: str, model: str, code: int) -> None:
        """Count a call."""
        self._requests.labels(agent_type or OTHER, model or OTHER, str(code)).inc()

    def refused(self, reason: RefusalReason) -> None:
        """Count a call that we refused."""
        self._refusals.labels(reason.value).inc()

    def reviewed(self, result: str) -> None:
        """Count a review: accepted, refused or unavailable."""
        self._reviews.labels(result).inc()

    def loaded(self, seconds: float) -> None:
        """Observe how long an adapter took to load."""
        self._load_seconds.observe(seconds)

    def probed(self, prompt: int, completion: int) -> None:
        """Count a probe's tokens."""
        self._probe_tokens.labels("input").inc(prompt)
        self._probe_tokens.labels("output").inc(completion)

    def text(self, reports: Iterable[AdapterReport], *, engine_ready: bool, policy_refused: bool) -> bytes:
        """Return the Prometheus text format."""
        states = [report.state for report in reports]
        for state in AdapterState:
            self._adapters.labels(state.value).set(states.count(state))
        self._engine_ready.set(engine_ready)
        self._policy_refused.set(policy_refused)
        return generate_latest(self._registry)
