"""Where a call is sent next when it was not answered: again, elsewhere, or not at all. Pure: the clock is passed in.

A call that has somewhere else to go does not wait. One that has not is sent again where that costs nothing and is worth
it: a backend that is not there yet is asked until `timeouts.warmUpMs` has passed, one that asks for a short pause gets
it, at most `retries.MOST` times and within the retry budget. All else fails at once.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from agenttype_api.policy import WireProtocol
from agenttype_api.v1alpha1 import FallbackReason

from agenttype_sidecar.backends import retries
from agenttype_sidecar.backends.retries import RetryBudget
from agenttype_sidecar.routing.routes import Link, Target

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_ANY: Final = frozenset({FallbackReason.UNAVAILABLE, FallbackReason.RATE_LIMITED})


class Failure(StrEnum):
    """Why an attempt was no answer; always before the first byte of one reached the caller. Labels of metrics."""

    CONNECT = "connect"
    """Nothing was sent: there is no connection."""
    CERTIFICATE = "certificate"
    """Nothing was sent: the server is not who it should be."""
    WARMING = "warming"
    """Its gate says that it is starting."""
    CIRCUIT_OPEN = "circuit_open"
    """Nothing was sent: it failed too often of late."""
    RATE_LIMITED = "rate_limited"
    """429."""
    UNAVAILABLE = "unavailable"
    """503."""
    SERVER_ERROR = "server_error"
    """Any other 5xx."""
    TIMEOUT = "timeout"
    """Sent, and silent since."""
    RESET = "reset"
    """Sent, and hung up on, or answered with what is no answer."""


_AWAY: Final = frozenset({Failure.CONNECT, Failure.WARMING})
_BUSY: Final = frozenset({Failure.RATE_LIMITED, Failure.UNAVAILABLE})
#: What says that a backend is broken; all else shows that it works.
BROKEN: Final = frozenset(Failure) - {Failure.RATE_LIMITED, Failure.CIRCUIT_OPEN}


class Step(NamedTuple):
    """Send the call to `target` after so many seconds."""

    target: Target
    pause: float = 0.0


class Attempts:
    """One call's way through its targets.

    Attributes:
        target: Where it is now, or goes first.
        reason: Why it goes there first, where that is not the route's own backend.
        deaf: Fallbacks that are left out because they do not speak the caller's protocol.
    """

    def __init__(
        self, first: Target, protocol: WireProtocol, budget: RetryBudget, *, until: float, is_low: bool = False
    ) -> None:
        """Begin.

        Args:
            first: the route's target.
            protocol: the caller's.
            budget: what retries may still be made.
            until: how long a backend that is not there is waited for, on the clock of `after`.
            is_low: whether a limit of the agent has passed `warnAtPercent`.
        """
        self.deaf: list[Target] = []
        self.reason: FallbackReason | None = None
        self.target = first
        self._order = [Link(first, _ANY)]
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
        speaking = [link for link in first.fallback if protocol in link.target.backend.protocols]
        self.deaf = [link.target for link in first.fallback if protocol not in link.target.backend.protocols]
        cheap = [link for link in speaking if is_low and FallbackReason.BUDGET_LOW in link.when]
        others = [link for link in speaking if link not in cheap]
        self._order = [*cheap, *self._order, *others]
        self.reason = FallbackReason.BUDGET_LOW if cheap else None
        self.target = self._order[0].target

    @property
    def has_others(self) -> bool:
        """Whether anything but one backend may answer."""
        return len(self._order) > 1

    def after(self, failure: Failure, now: float, retry_after: bytes | None = None) -> Step | None:
        """Return what to do after a failure, None where the call has failed for good.

        Args:
            failure: what happened at `target`.
            now: seconds of any clock that only goes forward.
            retry_after: the header of the backend's answer, where there is one.
        """
        self._is_away = self._is_away or failure in _AWAY
        reason = reason_of(failure)
        for at in range(self._at + 1, len(self._order)):
            if reason in self._order[at].when:
                return self._step(at, 0.0)
        if failure in _BUSY:
            pause = retries.pause(retry_after)
            if pause is not None and self._retries < retries.MOST and self._budget.spend():
                self._retries += 1
                return self._step(self._at, pause)
        elif (
            (failure in _AWAY or failure is Failure.CIRCUIT_OPEN) and self._is_away and now + self._pause <= self._until
        ):
            pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
            self._is_away = False
            return self._step(0, pause)
        return None

    def _step(self, at: int, pause: float) -> Step:
        self._at = at
        self.target = self._order[at].target
        return Step(self.target, pause)


def reason_of(failure: Failure) -> FallbackReason:
    """Return which kind of fallback a failure asks for."""
    return FallbackReason.RATE_LIMITED if failure is Failure.RATE_LIMITED else FallbackReason.UNAVAILABLE
