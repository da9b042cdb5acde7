"""What leases promise and tell: how long things take, what becomes of a want, how an account stands."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

#: Why a lease goes back: nobody used it, the pod ends, another pod fell silent, or others found us silent.
REASONS: Final = ("idle", "shutdown", "silent", "fenced")


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, in seconds.

    Attributes:
        lease: After this long without a sign of life, what a holder had not drawn is back.
        idle: What nobody asked for so long goes back.
        tick: How often all accounts are looked after.
        ahead: Calls of so long, at the recent pace, need not wait for the store.
        stock: And this is leased for them.
        fresh: Sums that are older are read again before a call is told that nothing is left.
        settle: After the store was away nobody leases for so long: if it went back meanwhile, somebody else may know.
    """

    lease: float = 10.0
    idle: float = 2.0
    tick: float = 0.25
    ahead: float = 3.0
    stock: float = 10.0
    fresh: float = 0.25
    settle: float = 1.0

    @property
    def sign(self) -> float:
        """How often holders show that they live, and others look."""
        return self.lease / 6

    @property
    def silence(self) -> float:
        """How long a record stays unchanged before it is ended."""
        return self.lease / 2

    @property
    def leftover(self) -> float:
        """And one whose end brings nothing back."""
        return self.lease * 60


class Outcome(Enum):
    """What became of a want."""

    GRANTED = "granted"
    """There is room now; whoever is first has it."""
    EXHAUSTED = "exhausted"
    """The limit does not have so much left for us."""
    UNAVAILABLE = "unavailable"
    """The store does not answer, and what is drawn is not enough."""


class Want(NamedTuple):
    """The answer to a want: `remaining` is what we could have; what others leased and do not use may come back."""

    outcome: Outcome
    remaining: int = 0
    leased_elsewhere: int = 0


class View(NamedTuple):
    """One account, for those who ask.

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
