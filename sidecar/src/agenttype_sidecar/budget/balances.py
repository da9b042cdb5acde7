"""What is spent and what is held: the state that the ledger keeps. Pure: the ledger writes, the book only counts.

A hold goes RESERVED → DISPATCHED → CLOSED. It is closed once, by settling (what the call cost is spent) or by
releasing (nothing is); whoever comes second changes nothing. A dispatched hold that never reached its backend goes
back to RESERVED for another attempt.

The book keeps one sum over all calls. A count that began later (a window of the clock, a share of a limit) is that sum
less what it was when the count began. A hold belongs to the counts that were there when it was reserved: where one has
begun since, what the hold comes to is taken off it again, so nothing of the past leaks into the present.
"""

from dataclasses import dataclass
from enum import Enum

from agenttype_api.v1alpha1 import Resource, Window

from agenttype_sidecar.budget import reservation, windows
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
    """What one call keeps aside. (`number`, `attempt`) names it for ever; later holds have larger numbers."""

    number: int
    amounts: Amounts
    attempt: int = 1
    state: State = State.RESERVED


@dataclass(slots=True)
class Count:
    """A count that began later than the book.

    Attributes:
        index: Which stretch of time it counts.
        since: Number of its first hold.
        spent: What of the book's sum is not its own.
        held: What is held by calls that are not its own.
    """

    index: int
    since: int = 0
    spent: Amounts = reservation.NOTHING
    held: Amounts = reservation.NOTHING


class Balances:
    """Counts.

    Attributes:
        spent: Of all calls ever.
        held: Of all calls that are running.
        minute: The latest minute that was ever seen; a clock that is set back does not take it back.
        counts: By what they count: a window, or the account of a limit that pods share.
    """

    def __init__(self, spent: Amounts = reservation.NOTHING, number: int = 0, minute: int = 0) -> None:
        """Begin with what is spent, the number of the last hold, and the latest minute."""
        self.spent = spent
        self.held = reservation.NOTHING
        self.minute = minute
        self.counts: dict[str, Count] = {}
        self._number = number
        self._latest = 0

    @property
    def used(self) -> Amounts:
        """What new calls cannot have."""
        return self.spent.plus(self.held)

    def turn(self, now: float) -> list[str]:
        """Note the time in Unix seconds; return the windows that have begun with it."""
        minute = windows.minute(now)
        if minute <= self.minute:
            return []
        self.minute = minute
        begun = []
        for window in windows.TURNING:
            index = windows.index(window, minute)
            count = self.counts.get(window)
            if count is None or count.index < index:
                self.begin(window, index)
                begun.append(str(window))
        return begun

    def begin(self, key: str, index: int) -> None:
        """Let a count begin now, with nothing spent or held."""
        self._latest = self._number + 1
        self.counts[key] = Count(index, self._latest, self.spent, self.held)

    def restored(self, key: str, count: Count) -> None:
        """Take over a count that began in a former life."""
        self.counts[key] = count
        self._latest = max(self._latest, count.since)

    def spent_in(self, window: Window | str) -> Amounts:
        """Return what is spent of a count; of everything, where it is none that begins anew."""
        count = self.counts.get(window)
        return self.spent if count is None else self.spent.minus(count.spent)

    def held_in(self, window: Window | str) -> Amounts:
        """Return what is held of a count."""
        count = self.counts.get(window)
        return self.held if count is None else self.held.minus(count.held)

    def standing(self, window: Window | str, resource: Resource) -> tuple[int, int]:
        """Return what is spent and what is held of one resource of a count."""
        count = self.counts.get(window)
        if count is None:
            return self.spent.of(resource), self.held.of(resource)
        return self.spent.of(resource) - count.spent.of(resource), self.held.of(resource) - count.held.of(resource)

    def reserve(self, amounts: Amounts) -> Hold:
        """Keep `amounts` aside."""
        self._number += 1
        self.held = self.held.plus(amounts)
        return Hold(self._number, amounts)

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

    def close(self, hold: Hold, cost: Amounts) -> list[str] | None:
        """Spend `cost` and give the rest back.

        Returns:
            The counts that the hold does not belong to, for they changed; None where it was closed before.
        """
        if hold.state is State.CLOSED:
            return None
        hold.state = State.CLOSED
        self.held = self.held.minus(hold.amounts)
        self.spent = self.spent.plus(cost)
        return self._passed_by(hold, cost) if hold.number < self._latest else []

    def orphaned(self, number: int, amounts: Amounts) -> None:
        """Spend what a call of a former life had dispatched and never settled."""
        self.spent = self.spent.plus(amounts)
        for count in self.counts.values():
            if count.since > number:
                count.spent = count.spent.plus(amounts)

    def _passed_by(self, hold: Hold, cost: Amounts) -> list[str]:
        strangers = []
        for key, count in self.counts.items():
            if count.since > hold.number:
                count.spent = count.spent.plus(cost)
                count.held = count.held.minus(hold.amounts)
                strangers.append(key)
        return strangers
