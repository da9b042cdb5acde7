"""How a shared limit is kept in the store, and how much of an addition fits. Pure: no clock, no I/O.

The store keeps three things for every account::

    counter    all that was ever leased of it; it only grows, by additions that need no agreement
    returns    what came back, and up to which gift of which life that is counted; changed by compare-and-set
    records    one per holder, changed by compare-and-set: leased ≥ drawn ≥ used, and what is under way

`counter - returns` is what is outstanding. A holder may use what it has drawn, nothing else. A write that is repeated,
lost or late either changes nothing (a compare-and-set names the revision that it changes), or adds to the counter once
more, which makes the limit smaller. The counter is never lowered: a subtraction would have to happen exactly once, and
no counter can guarantee that.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import Resource, Window
from agenttype_bus import subjects

#: The name of an account's entry for what came back.
RETURNS = "returns"


@dataclass(frozen=True, slots=True)
class Account:
    """One shared limit in one window; (`key`, `index`) is its permanent name."""

    key: str
    """Includes the resource: a limit that counts another resource is another account."""
    resource: Resource
    window: Window
    index: int
    max: int


def account(limit: Limit, index: int) -> Account:
    """Return the account of a limit that pods share, in the window of this index."""
    key = subjects.account_key(limit.account, limit.resource, limit.window)
    return Account(key, limit.resource, limit.window, index, limit.max)


class Addition(NamedTuple):
    """An addition to the counter that may or may not have happened."""

    operation: str
    amount: int


class Refund(NamedTuple):
    """An amount that comes back, and its number among the lease's refunds."""

    number: int
    amount: int


@dataclass(frozen=True, slots=True)
class Record:
    """What one holder has of one account.

    Attributes:
        lease_id: Names this lease; a holder whose lease was ended begins another.
        leased: What the holder alone may draw from.
        drawn: What the holder may use. Only the holder changes it.
        used: What it had used when it last wrote; for information.
        pending: An addition under way; not part of `leased` yet.
        refunds: No longer part of `leased`; perhaps not yet counted as returned.
        number: Of the last refund.
        ended: The holder must not continue this lease; any holder that finds it completes its end.
    """

    lease_id: str
    leased: int = 0
    drawn: int = 0
    used: int = 0
    pending: Addition | None = None
    refunds: tuple[Refund, ...] = ()
    number: int = 0
    ended: bool = False

    @property
    def idle(self) -> bool:
        """Whether ending it would bring nothing back."""
        return self.leased == self.drawn and self.pending is None and not self.refunds and not self.ended

    @property
    def over(self) -> bool:
        """Whether its end is complete; it then only tells its holder how much stayed counted."""
        return self.ended and self.pending is None and not self.refunds

    @property
    def unused(self) -> int:
        """What may come back of it."""
        under_way = (self.pending.amount if self.pending else 0) + sum(refund.amount for refund in self.refunds)
        return max(0, self.leased - self.used) + under_way

    def refunding(self, amount: int) -> "Record":
        """Return the record with one more refund; the caller lowers `leased` itself."""
        if amount == 0:
            return self
        number = self.number + 1
        return replace(self, refunds=(*self.refunds, Refund(number, amount)), number=number)

    def uncounted(self, returns: "Returns") -> "Record":
        """Return the record without the refunds that are already counted."""
        return replace(self, refunds=returns.missing(self))

    def ending(self) -> "Record":
        """Return the record's last form: all that was not drawn goes back, what was drawn stays counted.

        A pending addition goes back too, so it must have been made before the refunds are counted.
        """
        if self.ended:
            return self
        back = self.leased - self.drawn + (self.pending.amount if self.pending else 0)
        return replace(self.refunding(back), leased=self.drawn, ended=True)

    def to_json(self) -> bytes:
        """Return what the store keeps."""
        return _json(
            [
                self.lease_id,
                self.leased,
                self.drawn,
                self.used,
                self.pending,
                self.refunds,
                self.number,
                int(self.ended),
            ]
        )

    @staticmethod
    def from_json(text: bytes) -> "Record":
        """Return what `to_json` wrote.

        Raises:
            StoreUnavailable: Another version of the sidecar wrote it.
        """
        try:
            lease_id, leased, drawn, used, pending, refunds, number, ended = json.loads(text)
            return Record(
                lease_id=lease_id,
                leased=leased,
                drawn=drawn,
                used=used,
                pending=Addition(*pending) if pending else None,
                refunds=tuple(Refund(*refund) for refund in refunds),
                number=number,
                ended=bool(ended),
            )
        except (ValueError, TypeError) as error:
            raise StoreUnavailable("an entry cannot be read") from error


class Recovery(NamedTuple):
    """That the store was restored from an older copy or lost its data, and how that was corrected.

    Attributes:
        epoch: How often that was detected.
        floor: Entries up to this revision are from before the restore; only their `drawn` counts.
        covered: The counter before the restore; everything up to it is counted again.
        owed: What must still be added to the counter.
    """

    epoch: int = 0
    floor: int = 0
    covered: int = 0
    owed: Addition | None = None


@dataclass(frozen=True, slots=True)
class Returns:
    """What came back in all, the last counted refund of each lease, and whether the store was ever restored."""

    total: int = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    recovery: Recovery = field(default_factory=Recovery)

    def trusted_part(self, record: Record, revision: int) -> Record:
        """Return the part of a record of this revision that can be trusted and is not counted yet."""
        if revision <= self.recovery.floor:
            return replace(record, leased=record.drawn, pending=None, refunds=())
        return record.uncounted(self)

    def missing(self, record: Record) -> tuple[Refund, ...]:
        """Return the refunds of a record that are not counted yet."""
        last = self.counted.get(record.lease_id, 0)
        return tuple(refund for refund in record.refunds if refund.number > last)

    def counting(self, record: Record) -> "Returns":
        """Return the sum with all refunds of a record."""
        amount = sum(refund.amount for refund in self.missing(record))
        return replace(self, total=self.total + amount, counted={**self.counted, record.lease_id: record.number})

    def without(self, lease_id: str) -> "Returns":
        """Return the same sum without a lease that has ended and makes no more refunds."""
        return replace(self, counted={known: last for known, last in self.counted.items() if known != lease_id})

    def to_json(self) -> bytes:
        """Return what the store keeps."""
        return _json([self.total, dict(self.counted), *([self.recovery] if any(self.recovery) else [])])

    @staticmethod
    def from_json(text: bytes) -> "Returns":
        """Return what `to_json` wrote; empty for an empty text."""
        if not text:
            return Returns()
        total, counted, *recovery = json.loads(text)
        if not recovery:
            return Returns(total, counted)
        epoch, floor, covered, owed = recovery[0]
        return Returns(total, counted, Recovery(epoch, floor, covered, Addition(*owed) if owed else None))


class Entry(NamedTuple):
    """One entry of an account; a missing one has no text, and the revision that creates it."""

    text: bytes = b""
    revision: int = 0


class Sums(NamedTuple):
    """An account's counter and returns; each may be older than the other."""

    counter: int
    returns: Entry


class AccountChanges(NamedTuple):
    """An account's sums, and the holders' entries that were written since the last read.

    Attributes:
        sums: Its counter and returns.
        records: Entries by holder.
        revision: All entries up to here have been read; the next read begins here.
    """

    sums: Sums
    records: Mapping[str, Entry]
    revision: int


class Store(Protocol):
    """Where accounts are kept. Every method raises StoreUnavailable; its write may then still happen, even later."""

    @property
    def reachable(self) -> bool:
        """Whether it answered last time."""

    @property
    def connections(self) -> int:
        """How often it connected; each connection may reach a server that lacks what others have."""

    def open(self) -> None:
        """Begin to connect, and stay connected until `close`."""

    async def close(self) -> None:
        """Disconnect."""

    async def add(self, account: Account, addition: Addition) -> int:
        """Add to the counter, at least once; return a sum that is not below the counter right after the addition."""

    async def sums(self, account: Account) -> Sums:
        """Read the account's sums."""

    async def look(self, account: Account, since: int) -> AccountChanges:
        """Read the sums, and the holders' entries that were written after revision `since`; 0 for all."""

    async def get(self, account: Account, name: str) -> Entry:
        """Read one entry."""

    async def put(self, account: Account, name: str, text: bytes, revision: int, *, fades: bool = False) -> int:
        """Write an entry whose revision is still the given one; return its new revision.

        An entry that fades is removed an hour later.

        Raises:
            Conflict: It has another revision; nothing was written, and nothing will be.
        """


class StoreUnavailable(Exception):  # noqa: N818 — named for the state of the store
    """The store did not answer: decide without it; the request may still take effect."""


class Conflict(Exception):  # noqa: N818 — an answer
    """The entry was changed in the meantime: read it again."""


def _json(value: list[object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def fits(maximum: int, returned: int, counter: int, added: int) -> int:
    """Return how much of an addition lies within the limit.

    Args:
        maximum: the limit.
        returned: what had come back BEFORE the addition; later returns may belong to additions after ours.
        counter: the counter right after the addition, or a later one.
        added: the addition.
    """
    return max(0, min(added, maximum + returned - (counter - added)))
