"""The durations of leases, the result of a request for more, and the status of an account."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

#: Why a lease goes back: it was not used, the pod ends, another pod was silent, or others found this pod silent.
REASONS: Final = ("idle", "shutdown", "silent", "fenced")


@dataclass(frozen=True, slots=True)
class Times:
    """Durations, in seconds.

    Attributes:
        lease: Without a sign of life for this long, what a holder had not drawn has come back.
        idle: What no call asked for in this time goes back.
        tick: Interval at which all accounts are checked.
        ahead: What calls need in this time at the recent rate is drawn in advance.
        stock: What they need in this time is leased in advance.
        fresh: Sums older than this are read again before a call is told that nothing is left.
        settle: After the store was unreachable, no lease is taken for this long: if it was restored from older data
            meanwhile, another holder may know.
    """

    lease: float = 10.0
    idle: float = 2.0
    tick: float = 0.25
    ahead: float = 3.0
    stock: float = 10.0
    fresh: float = 0.25
    settle: float = 1.0

    @property
    def heartbeat(self) -> float:
        """Interval at which holders show a sign of life, and read each other."""
        return self.lease / 6

    @property
    def silence(self) -> float:
        """How long a record may stay unchanged before its lease is ended."""
        return self.lease / 2

    @property
    def leftover(self) -> float:
        """The same, for a record whose end brings nothing back."""
        return self.lease * 60


class Outcome(Enum):
    """The result of a request for more."""

    GRANTED = "granted"
    """There is room now; the first call gets it."""
    EXHAUSTED = "exhausted"
    """The limit does not have that much left for this pod."""
    UNAVAILABLE = "unavailable"
    """The store does not answer, and the drawn amount is not enough."""


class LeaseResult(NamedTuple):
    """The answer to a request: `remaining` is what this pod could have, `leased_elsewhere` what others may return."""

    outcome: Outcome
    remaining: int = 0
    leased_elsewhere: int = 0


class AccountStatus(NamedTuple):
    """The status of one account.

    Attributes:
        limit: The limit.
        leased: What all pods have leased or spent, as far as known.
        drawn: What this pod may use.
        used: What it has spent and holds.
        reachable: Whether the store answers.
    """

    limit: int
    leased: int
    drawn: int
    used: int
    reachable: bool
