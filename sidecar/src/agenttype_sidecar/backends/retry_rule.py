"""Where a call is sent next when it was not answered: again, elsewhere, or not at all. Pure: the clock is passed in.

A call that has a fallback does not wait. A call without one is sent again where that costs nothing: to a backend that
is not up yet, until `timeouts.warmUpMs` has passed; to one that asks for a short pause, at most `retries.MOST` times
and within the retry budget. In all other cases it fails at once.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from agenttype_api.policy import WireProtocol
from agenttype_api.v1alpha1 import FallbackReason

from agenttype_sidecar.backends import retry_budget
from agenttype_sidecar.backends.retry_budget import RetryBudget
from agenttype_sidecar.routing.routes import Fallback, Target

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_ANY: Final = frozenset({FallbackReason.UNAVAILABLE, FallbackReason.RATE_LIMITED})


class Failure(StrEnum):
    """Why an attempt failed, before any byte of an answer reached the caller. Labels of metrics."""

    CONNECT = "connect"
    """Nothing was sent: no connection."""
    CERTIFICATE = "certificate"
    """Nothing was sent: the server's certificate is not valid for it."""
    WARMING = "warming"
    """Its gate answers that it is starting."""
    CIRCUIT_OPEN = "circuit_open"
    """Nothing was sent: it failed too often recently."""
    RATE_LIMITED = "rate_limited"
    """429."""
    UNAVAILABLE = "unavailable"
    """503."""
    SERVER_ERROR = "server_error"
    """Any other 5xx."""
    TIMEOUT = "timeout"
    """Sent, and no answer in time."""
    RESET = "reset"
    """Sent, and the connection was closed, or the answer was not valid HTTP."""


_AWAY: Final = frozenset({Failure.CONNECT, Failure.WARMING})
_BUSY: Final = frozenset({Failure.RATE_LIMITED, Failure.UNAVAILABLE})
#: The failures that count against a backend; the others show that it works.
BROKEN: Final = frozenset(Failure) - {Failure.RATE_LIMITED, Failure.CIRCUIT_OPEN}


class NextAttempt(NamedTuple):
    """Send the call to `target` after `pause` seconds."""

    target: Target
    pause: float = 0.0


class Attempts:
    """One call's attempts at its targets.

    Attributes:
        target: The current target.
        reason: Why the first target is not the route's own backend; None if it is.
        incompatible: Fallbacks that are left out because they do not speak the caller's protocol.
    """

    def __init__(
        self, first: Target, protocol: WireProtocol, budget: RetryBudget, *, until: float, is_low: bool = False
    ) -> None:
        """Choose the first target.

        Args:
            first: the route's target.
            protocol: the caller's.
            budget: the retries that may still be made.
            until: how long to wait for a backend that is not up, on the clock of `after`.
            is_low: whether a limit of the agent has passed `warnAtPercent`.
        """
        self.incompatible: list[Target] = []
        self.reason: FallbackReason | None = None
        self.target = first
        self._order = [Fallback(first, _ANY)]
        if first.fallback:
            self._sort(first, protocol, is_low=is_low)
        self._budget = budget
        self._until = until
        self._at = 0
        self._retries = 0
        self._pause = _FIRST_PAUSE
        self._is_away = False
        budget.earn()

    def _sort(self, first: Target, protocol: WireProtocol, *, is_low: bool) -> None:
        compatible = [fallback for fallback in first.fallback if protocol in fallback.target.backend.protocols]
        self.incompatible = [
            fallback.target for fallback in first.fallback if protocol not in fallback.target.backend.protocols
        ]
        cheap = [fallback for fallback in compatible if is_low and FallbackReason.BUDGET_LOW in fallback.when]
        others = [fallback for fallback in compatible if fallback not in cheap]
        self._order = [*cheap, *self._order, *others]
        self.reason = FallbackReason.BUDGET_LOW if cheap else None
        self.target = self._order[0].target

    @property
    def has_others(self) -> bool:
        """Whether more than one target may answer."""
        return len(self._order) > 1

    def after(self, failure: Failure, now: float, retry_after: bytes | None = None) -> NextAttempt | None:
        """Return the next attempt after a failure, None if the call has failed.

        Args:
            failure: what happened at `target`.
            now: monotonic seconds.
            retry_after: the header of the backend's answer, if it has one.
        """
        self._is_away = self._is_away or failure in _AWAY
        reason = reason_of(failure)
        for at in range(self._at + 1, len(self._order)):
            if reason in self._order[at].when:
                return self._step(at, 0.0)
        if failure in _BUSY:
            pause = retry_budget.pause(retry_after)
            if pause is not None and self._retries < retry_budget.MOST and self._budget.spend():
                self._retries += 1
                return self._step(self._at, pause)
        elif (
            (failure in _AWAY or failure is Failure.CIRCUIT_OPEN) and self._is_away and now + self._pause <= self._until
        ):
            pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
            self._is_away = False
            return self._step(0, pause)
        return None

    def _step(self, at: int, pause: float) -> NextAttempt:
        self._at = at
        self.target = self._order[at].target
        return NextAttempt(self.target, pause)


def reason_of(failure: Failure) -> FallbackReason:
    """Return the reason that a fallback must name to be used after a failure."""
    return FallbackReason.RATE_LIMITED if failure is Failure.RATE_LIMITED else FallbackReason.UNAVAILABLE
