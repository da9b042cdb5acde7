"""The metrics of limits that pods share. Labels come from the policy's limits and from lists of ours."""

from collections.abc import Iterator

from agenttype_bus.operation_labels import Operation
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.leases.lease_types import REASONS
from agenttype_sidecar.policy.policies import Policies


class LeaseMetrics(Collector):
    """Reads shared limits at a scrape; there are no families if no limit is shared."""

    def __init__(self, registry: CollectorRegistry, shared: SharedLimits, policies: Policies) -> None:
        self._shared = shared
        self._policies = policies
        registry.register(self)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: `collect` names the families once there is a policy."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        nats, leases = self._shared.nats, self._shared.leases
        if nats is None or leases is None:
            return
        leased = GaugeMetricFamily(
            "agenttype_budget_leased", "What all pods have leased or spent of a shared limit.", labels=("limit",)
        )
        drawn = GaugeMetricFamily(
            "agenttype_budget_drawn", "What this pod may use of a shared limit, used or not.", labels=("limit",)
        )
        for limit in self._policies.active.limits:
            if limit.account:
                view = leases.view(self._shared.account(limit))
                leased.add_metric((limit.name,), view.leased)
                drawn.add_metric((limit.name,), view.drawn)
        errors = CounterMetricFamily(
            "agenttype_budget_nats_errors", "Requests to NATS that failed.", labels=("operation",)
        )
        for operation in Operation:
            errors.add_metric((operation,), nats.failures[operation])
        returned = CounterMetricFamily(
            "agenttype_lease_returned", "Leases of shared limits that went back, by reason.", labels=("reason",)
        )
        for reason in REASONS:
            returned.add_metric((reason,), leases.returned[reason])
        setbacks = CounterMetricFamily(
            "agenttype_budget_nats_setbacks",
            "How often this pod found NATS restored from older data, and corrected it.",
            value=leases.setbacks,
        )
        yield from (leased, drawn, errors, returned, setbacks)
