"""What is spent and what is held: the state that the ledger keeps. Pure: the ledger writes, the book only counts.

A hold goes RESERVED → DISPATCHED → CLOSED. It is closed once, by settling (what the call cost is spent) or by
releasing (nothing is); whoever comes second changes nothing. A dispatched hold that never reached its backend goes
back to RESERVED for another attempt.
"""

from dataclasses import dataclass
from enum import Enum

from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.reservation import Amounts


class State(Enum):
    """How far a hold is."""

    RESERVED = "reserved"
    """Kept aside; nothing has been sent."""
    DISPATCHED = "dispatched"
    """The backend may have begun to work: whatever happens to us, this is spent unless somebody knows better."""
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class Hold:
    """What one call keeps aside. (`request`, `attempt`) names it for ever."""

    request: str
    amounts: Amounts
    attempt: int = 1
    state: State = State.RESERVED


class Book:
    """Counts; `spent` and `held` are sums over all calls."""

    def __init__(self, spent: Amounts = reservation.NOTHING) -> None:
        self.spent = spent
        self.held = reservation.NOTHING

    @property
    def used(self) -> Amounts:
        """What new calls cannot have."""
        return self.spent.plus(self.held)

    def reserve(self, request: str, amounts: Amounts) -> Hold:
        """Keep `amounts` aside."""
        self.held = self.held.plus(amounts)
        return Hold(request, amounts)

    def dispatched(self, hold: Hold) -> None:
        """Note that the next byte may reach the backend."""
        if hold.state is not State.RESERVED:
            raise ValueError(f"a hold that is {hold.state.value} cannot be dispatched")
        hold.state = State.DISPATCHED

    def recalled(self, hold: Hold) -> None:
        """Note that nothing reached the backend; the hold stays for the next attempt."""
        if hold.state is not State.DISPATCHED:
            raise ValueError(f"a hold that is {hold.state.value} cannot be recalled")
        hold.state = State.RESERVED
        hold.attempt += 1

    def close(self, hold: Hold, cost: Amounts) -> bool:
        """Spend `cost` and give the rest back; return False where the hold was closed before."""
        if hold.state is State.CLOSED:
            return False
        hold.state = State.CLOSED
        self.held = self.held.minus(hold.amounts)
        self.spent = self.spent.plus(cost)
        return True
