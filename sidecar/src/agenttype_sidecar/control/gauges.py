"""What Prometheus reads of a sidecar's state at every scrape."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agenttype_sidecar.budget.limit_status import BudgetRow


@dataclass(frozen=True, slots=True)
class Gauges:
    """The values of one scrape."""

    rows: tuple[BudgetRow, ...]
    nats_reachable: bool
    policy_hash: str
    policy_current: bool
    wall_seconds: float
    busy_seconds: float
    utilization: float
    draining: bool


class GaugeCollector(Collector):
    """Reads the gauges at a scrape."""

    def __init__(self, read: Callable[[], Gauges]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
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
            "1 when NATS, which counts shared limits, answers or is not needed.",
            now.nats_reachable,
        )
        yield _gauge("agenttype_draining", "1 once the sidecar is draining.", now.draining)
        policy = GaugeMetricFamily("agenttype_policy_info", "The policy document in use.", labels=("hash",))
        policy.add_metric((now.policy_hash,), 1)
        yield policy

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: `collect` names the families once there is a policy."""
        return iter(())


def _budget(rows: tuple[BudgetRow, ...]) -> Iterator[Metric]:
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
        "agenttype_budget_warning", "1 where more is spent than warnAtPercent.", labels=("limit",)
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
