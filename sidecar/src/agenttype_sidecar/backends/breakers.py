"""The breakers of all backends and the retries of all calls, with their metrics."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from agenttype_api.policy import WireProtocol
from agenttype_api.v1alpha1 import FallbackReason
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from agenttype_sidecar.backends.breaker import Breaker
from agenttype_sidecar.backends.retry_budget import RetryBudget
from agenttype_sidecar.backends.retry_rule import Attempts, Failure
from agenttype_sidecar.policy.policies import Active, Policies
from agenttype_sidecar.routing.routes import Target

#: Label for a fallback that was left out because it does not speak the caller's protocol.
WRONG_PROTOCOL: Final = "WrongProtocol"


class Breakers:
    """What calls have shown of the backends, kept across calls and policies."""

    def __init__(
        self, registry: CollectorRegistry, policies: Policies, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with all breakers closed.

        Args:
            registry: where the metrics are registered.
            policies: the policies whose backends have breakers.
            clock: monotonic seconds.
        """
        self.clock = clock
        self._policies = policies
        self._active: Active | None = None
        self._breakers: dict[str, Breaker] = {}
        self._budget = RetryBudget()
        self._retries = Counter(
            "agenttype_retries", "Attempts after a failed one at the same backend.", ("backend", "reason"),
            registry=registry,
        )  # fmt: skip
        self._fallbacks = Counter(
            "agenttype_fallbacks",
            "Calls that went on from one backend to another; reason WrongProtocol: fallbacks that were left out.",
            ("from", "to", "reason"),
            registry=registry,
        )
        registry.register(_BreakerStates(self))

    def attempts(self, first: Target, protocol: WireProtocol, max_wait: float, *, is_low: bool = False) -> Attempts:
        """Begin a call's attempts.

        Args:
            first: the target of its route.
            protocol: the caller's.
            max_wait: seconds to wait for a backend that is not up.
            is_low: whether a limit of the agent has passed `warnAtPercent`.
        """
        found = Attempts(first, protocol, self._budget, until=self.clock() + max_wait, is_low=is_low)
        for target in found.incompatible:
            self._fallbacks.labels(first.backend.name, target.backend.name, WRONG_PROTOCOL).inc()
        if found.reason is not None:
            self.fell_back(first, found.target, found.reason)
        return found

    def breaker(self, name: str) -> Breaker:
        """Return the breaker of a backend of the policy in use; breakers of removed backends are dropped."""
        active = self._policies.active
        if active is not self._active:
            self._active = active
            names = {backend.name for backend in active.policy.backends}
            self._breakers = {each: self._breakers.get(each) or Breaker() for each in sorted(names)}
        # A call that began under an earlier policy may still name a removed backend.
        return self._breakers.get(name) or Breaker()

    def states(self) -> dict[str, int]:
        """Return the breaker state of every backend of the policy in use, as in the metric."""
        now = self.clock()
        names = [backend.name for backend in self._policies.active.policy.backends]
        return {name: self.breaker(name).state(now).value for name in names}

    def retried(self, target: Target, failure: Failure) -> None:
        """Count an attempt after a failed one at the same backend."""
        self._retries.labels(target.backend.name, failure.value).inc()

    def fell_back(self, former: Target, target: Target, reason: FallbackReason) -> None:
        """Count a call that went on to another backend."""
        self._fallbacks.labels(former.backend.name, target.backend.name, reason.value).inc()


class _BreakerStates(Collector):
    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "agenttype_upstream_circuit_state",
            "Whether a backend is asked: 0 closed (yes), 1 half-open (one call at a time), 2 open (no).",
            labels=("backend",),
        )
        for name, state in self._breakers.states().items():
            family.add_metric((name,), state)
        yield family

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return iter(())
