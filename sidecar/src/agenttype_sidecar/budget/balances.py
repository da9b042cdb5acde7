"""What is spent and what is held: the state that the ledger keeps. Pure: the ledger writes, this only counts.

A hold goes RESERVED → DISPATCHED → CLOSED. It is closed once, by settling (what the call cost is spent) or by releasing
(nothing is spent); closing it again changes nothing. A dispatched hold that never reached its backend goes back to
RESERVED for another attempt.

There is one sum over all calls. A count that began later (a window of the clock, a share of a limit) is that sum minus
its value when the count began. A hold belongs to the counts that existed when it was reserved: for a count that began
after that, the hold's cost is subtracted again, so an old call never counts in a new window.
"""

from dataclasses import dataclass
from enum import Enum

from agenttype_api.v1alpha1 import Resource, Window

from agenttype_sidecar.budget import windows
from agenttype_sidecar.budget.amounts import NOTHING, Amounts


class HoldState(Enum):
    """How far a hold is."""

    RESERVED = "reserved"
    """Held; nothing has been sent."""
    DISPATCHED = "dispatched"
    """The backend may have begun to work: even if this process dies, the hold is spent, unless the real cost is
    known."""
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class Hold:
    """What is held for one call. (`number`, `attempt`) is its permanent name; later holds have larger numbers."""

    number: int
    amounts: Amounts
    attempt: int = 1
    state: HoldState = HoldState.RESERVED


@dataclass(slots=True)
class LaterCount:
    """A count that began later than the sum over all calls.

    Attributes:
        index: Which window of time it counts.
        since: Number of its first hold.
        spent: The part of the sum that is not its own.
        held: What is held for calls that are not its own.
    """

    index: int
    since: int = 0
    spent: Amounts = NOTHING
    held: Amounts = NOTHING


class Balances:
    """What all calls have spent and hold, in all and by window.

    Attributes:
        spent: By all calls ever.
        held: For all running calls.
        minute: The latest minute seen; it never decreases, even if the clock is set back.
        counts: By window, or by account of a limit that pods share.
    """

    def __init__(self, spent: Amounts = NOTHING, number: int = 0, minute: int = 0) -> None:
        """Begin with what is spent, the number of the last hold, and the latest minute."""
        self.spent = spent
        self.held = NOTHING
        self.minute = minute
        self.counts: dict[str, LaterCount] = {}
        self._number = number
        self._latest = 0

    @property
    def used(self) -> Amounts:
        """What new calls cannot use."""
        return self.spent.plus(self.held)

    def advance(self, now: float) -> list[str]:
        """Record the time in Unix seconds; return the windows that begin with it."""
        minute = windows.minute(now)
        if minute <= self.minute:
            return []
        self.minute = minute
        begun = []
        for window in windows.CLOCK_WINDOWS:
            index = windows.index(window, minute)
            count = self.counts.get(window)
            if count is None or count.index < index:
                self.begin(window, index)
                begun.append(str(window))
        return begun

    def begin(self, key: str, index: int) -> None:
        """Begin a count now, with nothing spent or held."""
        self._latest = self._number + 1
        self.counts[key] = LaterCount(index, self._latest, self.spent, self.held)

    def restored(self, key: str, count: LaterCount) -> None:
        """Take over a count from a former process."""
        self.counts[key] = count
        self._latest = max(self._latest, count.since)

    def spent_in(self, window: Window | str) -> Amounts:
        """Return what is spent in a count; the sum over all calls if there is no such count."""
        count = self.counts.get(window)
        return self.spent if count is None else self.spent.minus(count.spent)

    def held_in(self, window: Window | str) -> Amounts:
        """Return what is held in a count."""
        count = self.counts.get(window)
        return self.held if count is None else self.held.minus(count.held)

    def spent_and_held(self, window: Window | str, resource: Resource) -> tuple[int, int]:
        """Return what is spent and what is held of one resource in a count."""
        count = self.counts.get(window)
        if count is None:
            return self.spent.of(resource), self.held.of(resource)
        return self.spent.of(resource) - count.spent.of(resource), self.held.of(resource) - count.held.of(resource)

    def reserve(self, amounts: Amounts) -> Hold:
        """Hold `amounts`."""
        self._number += 1
        self.held = self.held.plus(amounts)
        return Hold(self._number, amounts)

    def dispatched(self, hold: Hold) -> None:
        """Record that the next byte may reach the backend."""
        if hold.state is not HoldState.RESERVED:
            raise ValueError(f"a hold that is {hold.state.value} cannot be dispatched")
        hold.state = HoldState.DISPATCHED

    def recalled(self, hold: Hold) -> None:
        """Record that nothing reached the backend; the hold stays for the next attempt."""
        if hold.state is not HoldState.DISPATCHED:
            raise ValueError(f"a hold that is {hold.state.value} cannot be recalled")
        hold.state = HoldState.RESERVED
        hold.attempt += 1

    def close(self, hold: Hold, cost: Amounts) -> list[str] | None:
        """Spend `cost` and give the rest back.

        Returns:
            The counts that the hold does not belong to, because they changed; None if it was closed before.
        """
        if hold.state is HoldState.CLOSED:
            return None
        hold.state = HoldState.CLOSED
        self.held = self.held.minus(hold.amounts)
        self.spent = self.spent.plus(cost)
        return self._exclude(hold, cost) if hold.number < self._latest else []

    def orphaned(self, number: int, amounts: Amounts) -> None:
        """Spend what a former process had dispatched for a call and never settled."""
        self.spent = self.spent.plus(amounts)
        for count in self.counts.values():
            if count.since > number:
                count.spent = count.spent.plus(amounts)

    def _exclude(self, hold: Hold, cost: Amounts) -> list[str]:
        later_counts = []
        for key, count in self.counts.items():
            if count.since > hold.number:
                count.spent = count.spent.plus(cost)
                count.held = count.held.minus(hold.amounts)
                later_counts.append(key)
        return later_counts
