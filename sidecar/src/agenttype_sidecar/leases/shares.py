"""What a shared limit looks like in the store, and what fits into it. Pure: no clock, no I/O.

Of every account the store keeps three things::

    counter    all that was ever leased of it; it only grows, by additions that need no agreement
    returns    what came back, and up to which gift of which life that is counted; changed by compare-and-set
    records    one per holder, changed by compare-and-set: leased ≥ drawn ≥ used, and what is under way

`counter - returns` is what is out there. A holder may use what it has drawn, nothing else. Whatever is repeated, lost
or late either changes nothing (a compare-and-set names the revision that it changes) or adds to the counter once more,
which makes the limit smaller. Nothing is ever taken from the counter, for that must happen exactly once, and no counter
can promise it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import Resource, Window
from agenttype_bus import subjects

#: The name, among an account's entries, of what came back.
RETURNS = "returns"


@dataclass(frozen=True, slots=True)
class Account:
    """One shared limit in one window: (`key`, `index`) names it for ever."""

    key: str
    """Says what is counted, too: a limit that begins to count something else is another account."""
    resource: Resource
    window: Window
    index: int
    max: int


def account(limit: Limit, index: int) -> Account:
    """Return the account of a limit that pods share, in the window of this index."""
    key = subjects.account_key(limit.account, limit.resource, limit.window)
    return Account(key, limit.resource, limit.window, index, limit.max)


class Take(NamedTuple):
    """An addition to the counter that may or may not have happened."""

    operation: str
    amount: int


class Gift(NamedTuple):
    """An amount that comes back, and its place in the life's row of gifts."""

    number: int
    amount: int


@dataclass(frozen=True, slots=True)
class Record:
    """What one holder has of one account.

    Attributes:
        life: Names this record; a holder whose record was ended begins another life.
        leased: What the holder alone may draw from.
        drawn: What the holder may use. Nobody but the holder changes it.
        used: What it had used when it last wrote; for information.
        take: Under way; not part of `leased` yet.
        gifts: No part of `leased` any more, perhaps not yet counted as returned.
        number: Of the last gift.
        ended: The holder may not go on with this life; whoever finds it completes its end.
    """

    life: str
    leased: int = 0
    drawn: int = 0
    used: int = 0
    take: Take | None = None
    gifts: tuple[Gift, ...] = ()
    number: int = 0
    ended: bool = False

    @property
    def idle(self) -> bool:
        """Whether its end would bring nothing back."""
        return self.leased == self.drawn and self.take is None and not self.gifts and not self.ended

    @property
    def over(self) -> bool:
        """Whether its end is complete: it only tells its holder how much of it stayed counted."""
        return self.ended and self.take is None and not self.gifts

    @property
    def unused(self) -> int:
        """What may come back of it."""
        under_way = (self.take.amount if self.take else 0) + sum(gift.amount for gift in self.gifts)
        return max(0, self.leased - self.used) + under_way

    def giving(self, amount: int) -> "Record":
        """Return the record with another gift on its way; what is given is taken from elsewhere."""
        if amount == 0:
            return self
        number = self.number + 1
        return replace(self, gifts=(*self.gifts, Gift(number, amount)), number=number)

    def given(self, returns: "Returns") -> "Record":
        """Return the record without the gifts that are counted."""
        return replace(self, gifts=returns.missing(self))

    def ending(self) -> "Record":
        """Return the record's last form: all that was not drawn goes back, what was drawn stays counted.

        A take that is under way goes back too, so its addition must have happened before the gifts are counted.
        """
        if self.ended:
            return self
        back = self.leased - self.drawn + (self.take.amount if self.take else 0)
        return replace(self.giving(back), leased=self.drawn, ended=True)

    def to_json(self) -> bytes:
        """Return what the store keeps."""
        return _json(
            [self.life, self.leased, self.drawn, self.used, self.take, self.gifts, self.number, int(self.ended)]
        )

    @staticmethod
    def from_json(text: bytes) -> "Record":
        """Return what `to_json` wrote.

        Raises:
            StoreUnavailable: Another version of us wrote it.
        """
        try:
            life, leased, drawn, used, take, gifts, number, ended = json.loads(text)
            return Record(
                life=life,
                leased=leased,
                drawn=drawn,
                used=used,
                take=Take(*take) if take else None,
                gifts=tuple(Gift(*gift) for gift in gifts),
                number=number,
                ended=bool(ended),
            )
        except (ValueError, TypeError) as error:
            raise StoreUnavailable("an entry cannot be read") from error


class Past(NamedTuple):
    """That the store went back, to an older copy or to nothing, and what was done about it.

    Attributes:
        era: How often that was found out.
        floor: Entries up to this revision are from before; of what they say only what was drawn is believed.
        covered: The counter as it stood before, up to which all is counted again.
        owed: What must still be added to the counter.
    """

    era: int = 0
    floor: int = 0
    covered: int = 0
    owed: Take | None = None


@dataclass(frozen=True, slots=True)
class Returns:
    """What came back in all, of each life the last gift that is part of it, and whether the store ever went back."""

    total: int = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    past: Past = field(default_factory=Past)

    def standing(self, record: Record, revision: int) -> Record:
        """Return what of a record of this revision is to be believed and not counted yet."""
        if revision <= self.past.floor:
            return replace(record, leased=record.drawn, take=None, gifts=())
        return record.given(self)

    def missing(self, record: Record) -> tuple[Gift, ...]:
        """Return the gifts of a record that are not counted."""
        last = self.counted.get(record.life, 0)
        return tuple(gift for gift in record.gifts if gift.number > last)

    def counting(self, record: Record) -> "Returns":
        """Return the sum with all gifts of a record."""
        amount = sum(gift.amount for gift in self.missing(record))
        return replace(self, total=self.total + amount, counted={**self.counted, record.life: record.number})

    def without(self, life: str) -> "Returns":
        """Return the same sum; `life` is over and will give no more."""
        return replace(self, counted={known: last for known, last in self.counted.items() if known != life})

    def to_json(self) -> bytes:
        """Return what the store keeps."""
        return _json([self.total, dict(self.counted), *([self.past] if any(self.past) else [])])

    @staticmethod
    def from_json(text: bytes) -> "Returns":
        """Return what `to_json` wrote; of nothing, nothing."""
        if not text:
            return Returns()
        total, counted, *past = json.loads(text)
        if not past:
            return Returns(total, counted)
        era, floor, covered, owed = past[0]
        return Returns(total, counted, Past(era, floor, covered, Take(*owed) if owed else None))


class Entry(NamedTuple):
    """One entry of an account; of what does not exist, no text, and the revision that creates it."""

    text: bytes = b""
    revision: int = 0


class Sums(NamedTuple):
    """What an account's counter and returns say; each perhaps older than the other."""

    counter: int
    returns: Entry


class Look(NamedTuple):
    """An account: its sums, and the entries of holders that were written since the last look.

    Attributes:
        sums: What its counter and returns say.
        records: Entries by holder.
        revision: Up to here all is seen; where the next look begins.
    """

    sums: Sums
    records: Mapping[str, Entry]
    revision: int


class Store(Protocol):
    """Where accounts are kept. Every method raises StoreUnavailable: it may or may not have happened, even later."""

    @property
    def reachable(self) -> bool:
        """Whether it answered last time."""

    @property
    def connections(self) -> int:
        """How often it was connected: behind each stands a server that may have lost what others had."""

    def open(self) -> None:
        """Begin to connect, and stay connected until `close`."""

    async def close(self) -> None:
        """Disconnect."""

    async def add(self, account: Account, take: Take) -> int:
        """Add to the counter, at least once; return a sum that is not below the counter right after the addition."""

    async def sums(self, account: Account) -> Sums:
        """Read the account's sums."""

    async def look(self, account: Account, since: int) -> Look:
        """Read the sums, and all entries of holders that were written after revision `since`; 0: all of them."""

    async def get(self, account: Account, name: str) -> Entry:
        """Read one entry."""

    async def put(self, account: Account, name: str, text: bytes, revision: int, *, fades: bool = False) -> int:
        """Write an entry whose revision is still the given one; return its new revision.

        An entry that fades is gone an hour later.

        Raises:
            Conflict: It has another revision; nothing happened, and nothing will.
        """


class StoreUnavailable(Exception):  # noqa: N818 — as the state of the store is called everywhere
    """The store did not answer: decide without it; what was asked of it may happen yet."""


class Conflict(Exception):  # noqa: N818 — an answer
    """Somebody else has written the entry: read it again."""


def _json(value: list[object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def fits(maximum: int, returned: int, counter: int, added: int) -> int:
    """Return how much of an addition lies within the limit.

    Args:
        maximum: the limit.
        returned: what had come back BEFORE the addition; what comes back later may belong to additions behind ours.
        counter: the counter right after the addition, or a later one.
        added: the addition.
    """
    return max(0, min(added, maximum + returned - (counter - added)))
