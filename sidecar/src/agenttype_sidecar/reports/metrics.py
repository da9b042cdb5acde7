"""Everything that Prometheus gets from a sidecar, declared once.

Labels come from closed lists: models, adapters and tools of the policy, outcomes and sources of ours; what is not on a
list counts as "other". Gauges are read when somebody asks. Metrics never fail a call.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from agenttype_api.policy import WireProtocol
from agenttype_api.refusal_reasons import RefusalReason
from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agenttype_sidecar.budget.table import Row
from agenttype_sidecar.llm.usage import Cost
from agenttype_sidecar.reports.tallies import Tally, Timing

OTHER: Final = "other"
#: The format of `Metrics.text`.
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"

_DURATIONS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_FIRST_TOKENS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Lane(NamedTuple):
    """Whom a call is counted for: served model, adapter and protocol, all from the policy."""

    model: str = OTHER
    adapter: str = ""
    protocol: WireProtocol = WireProtocol.OPENAI


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is read when somebody asks."""

    rows: tuple[Row, ...]
    nats_reachable: bool
    policy_hash: str
    policy_current: bool
    wall_seconds: float
    busy_seconds: float
    utilization: float
    draining: bool


class Metrics:
    """The sidecar's metrics; `text` is what `/metrics` answers."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        lane = ("model", "adapter", "protocol")
        self._requests = Tally(
            "agenttype_llm_requests",
            "LLM calls of the agent by outcome.",
            (*lane, "outcome", "code"),
            registry=registry,
        )
        self._tokens = Tally(
            "agenttype_llm_tokens",
            "Tokens charged, by direction and by how well the number is known.",
            ("model", "adapter", "direction", "usage_source"),
            registry=registry,
        )
        self._costs = Tally(
            "agenttype_llm_cost_nanousd",
            "What was charged at the backends' prices, in nano-dollars, by how well it is known.",
            ("model", "adapter", "usage_source"),
            registry=registry,
        )
        self._durations = Timing(
            "agenttype_llm_duration_seconds",
            "From a call's arrival to its last byte.",
            lane,
            bounds=_DURATIONS,
            registry=registry,
        )
        self._first_tokens = Timing(
            "agenttype_llm_ttft_seconds",
            "From a call's arrival to the first byte of its answer.",
            lane,
            bounds=_FIRST_TOKENS,
            registry=registry,
        )
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

    def observe(self, gauges: Callable[[], Gauges]) -> None:
        """Read these gauges at every scrape; called once."""
        self.registry.register(_Gauges(gauges))

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def answered(self, lane: Lane, outcome: str, code: int) -> None:
        """Count a call."""
        self._requests.add((*lane, outcome, str(code)))

    def timed(self, lane: Lane, seconds: float, first_byte: float | None) -> None:
        """Note how long a call that went upstream took, and how long to its first byte if there was one."""
        self._durations.observe(lane, seconds)
        if first_byte is not None:
            self._first_tokens.observe(lane, first_byte)

    def charged(self, lane: Lane, cost: Cost) -> None:
        """Count the tokens of a settled call, and what they cost."""
        model, adapter, _ = lane
        self._tokens.add((model, adapter, "input", cost.source), cost.amounts.input)
        self._tokens.add((model, adapter, "output", cost.source), cost.amounts.output)
        self._costs.add((model, adapter, cost.source), cost.amounts.cost)

    def rejected(self, limit: str, reason: RefusalReason) -> None:
        """Count a call that a limit refused."""
        self._rejections.labels(limit, reason).inc()

    def overspent(self, limit: str) -> None:
        """Count a limit that a settlement left exceeded."""
        self._overspends.labels(limit).inc()

    def refused(self, reason: RefusalReason) -> None:
        """Count a call that policy refused, whatever it was for."""
        self._refusals.labels(reason).inc()


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Gauges]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        now = self._read()
        yield from _budget(now.rows)
        wall = CounterMetricFamily("agenttype_wall_clock_seconds", "Seconds that this sidecar has been running.")
        wall.add_metric((), now.wall_seconds)
        yield wall
        busy = CounterMetricFamily(
            "agenttype_busy_seconds", "Seconds in which at least one model or tool call was running."
        )
        busy.add_metric((), now.busy_seconds)
        yield busy
        yield _gauge("agenttype_utilization_ratio", "Busy seconds over wall-clock seconds.", now.utilization)
        yield _gauge("agenttype_policy_current", "1 when the newest policy document is in use.", now.policy_current)
        yield _gauge(
            "agenttype_nats_reachable",
            "1 when NATS answers, or no limit is shared.",
            now.nats_reachable,
        )
        yield _gauge("agenttype_draining", "1 once the sidecar was told to end.", now.draining)
        policy = GaugeMetricFamily("agenttype_policy_info", "The policy document in use.", labels=("hash",))
        policy.add_metric((now.policy_hash,), 1)
        yield policy

    def describe(self) -> Iterator[Metric]:
        return iter(())


def _budget(rows: tuple[Row, ...]) -> Iterator[Metric]:
    labels = ("limit", "resource", "window", "scope")
    families = (
        GaugeMetricFamily("agenttype_budget_limit", "The limit.", labels=labels),
        GaugeMetricFamily(
            "agenttype_budget_spent", "Spent in this window; of a shared limit, by this pod.", labels=labels
        ),
        GaugeMetricFamily("agenttype_budget_held", "Held for calls that are running.", labels=labels),
        GaugeMetricFamily("agenttype_budget_remaining", "Left for new calls.", labels=labels),
    )
    warning = GaugeMetricFamily(
        "agenttype_budget_warning", "1 where so much is spent that somebody should know.", labels=("limit",)
    )
    for line, _, warns in rows:
        limit = line.limit
        names = (limit.name, limit.resource.value, limit.window.value, limit.scope.value)
        for family, value in zip(families, (limit.max, line.spent, line.held, line.remaining), strict=True):
            family.add_metric(names, value)
        warning.add_metric((limit.name,), float(warns))
    yield from families
    yield warning


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    family.add_metric((), float(value))
    return family
