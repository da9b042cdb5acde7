"""One holder's part of one account: the steps to it, each safe to be cut off, delayed or repeated at any point.

Three rules make it so:

- A step that raises what may be used is taken when the store has it; one that lowers it, before the store has it.
- Nothing that is read is believed until a write of ours stands on it: what we wrote earlier, and never heard of again,
  can then not happen any more.
- What comes back is counted once: its gift is in the giver's record first, and the write that counts it says so.

One step at a time: the caller sees to that.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from agenttype_sidecar.leases import shares
from agenttype_sidecar.leases.shares import (
    RETURNS,
    Account,
    Conflict,
    Record,
    Returns,
    Store,
    StoreUnavailable,
    Sums,
    Take,
)

#: How often a step that finds its own record changed by others begins anew before it gives up for now.
_ATTEMPTS = 3


class Lease:
    """What this pod has of one account.

    Attributes:
        account: The limit; its `max` may change.
        drawn: What the pod may use in this window.
        record: What stands in the store, None while that is not known.
        counter: The counter when last seen.
        returned: What had come back when last seen.
        life: Of the record that we wrote last; empty where there is none.
        fenced: How often others had ended our record.
    """

    def __init__(
        self, store: Store, account: Account, holder: str, drawn: int, note: Callable[[Account, int], None]
    ) -> None:
        """Begin with what a former process had drawn; `note` returns once the amount drawn is recorded here."""
        self.account = account
        self.drawn = drawn
        self.record: Record | None = None
        self.counter = 0
        self.returned = 0
        self.life = ""
        self.fenced = 0
        self._store = store
        self._holder = holder
        self._note = note
        self._revision = 0

    @property
    def leased(self) -> int:
        """What can be drawn without asking for more; never less than what is drawn."""
        return self.drawn if self.record is None else max(self.drawn, self.record.leased)

    @property
    def out(self) -> int:
        """What all holders have leased or spent, as far as we know."""
        return self.counter - self.returned

    @property
    def free(self) -> int:
        """What nobody has leased, as far as we know; negative where the limit was lowered below what is out."""
        return self.account.max - self.out

    async def attach(self, life: str) -> None:
        """Find or make our record; `life` names a new one. Complete what a former process, or we, left half done."""
        if self.record is not None:
            return
        sums = await self._store.sums(self.account)
        entry = await self._store.get(self.account, self._holder)
        found = Record.from_json(entry.text) if entry.text else None
        if found is not None and found.ended and not found.over:
            await dissolve(self._store, self.account, self._holder)
            entry = await self._store.get(self.account, self._holder)
            found = Record.from_json(entry.text) if entry.text else None
        if found is not None and found.ended:
            # What it had drawn, perhaps more than we heard of, stayed counted, and nobody else can give it back.
            found = Record(life, found.drawn, found.drawn)
        if found is None:
            if sums.counter < max(self.counter, self.drawn):
                sums = await self._remind(life)
            found = Record(life, self.drawn, self.drawn)
        self.saw(sums)
        self._revision = entry.revision
        await self._write(found)
        self.fenced += self.life not in ("", found.life)
        self.life = found.life
        self._may_use(found.drawn)
        if found.take is not None:
            # Nobody knows any more what had come back before it, so none of it can be used.
            self.record = None
            self.counter = await self._store.add(self.account, found.take)
            await self._write(replace(found.giving(found.take.amount), take=None))
        await self._count_gifts()

    async def _remind(self, life: str) -> Sums:
        """Tell a store that has forgotten all, or that is another one, what we have drawn: it must count there too."""
        self.counter = self.returned = 0
        if self.drawn:
            await self._store.add(self.account, Take(f"{life}-drawn", self.drawn))
        return await self._store.sums(self.account)

    async def see(self) -> None:
        """Read the sums anew."""
        self.saw(await self._store.sums(self.account))

    def saw(self, sums: Sums) -> None:
        """Take note of the sums; none of them ever goes back."""
        self.counter = max(self.counter, sums.counter)
        self.returned = max(self.returned, Returns.from_json(sums.returns.text).total)

    async def draw(self, to: int, used: int) -> None:
        """Raise what may be used, out of what is leased."""
        record = self._mine()
        to = min(to, record.leased)
        if to > record.drawn:
            await self._write(replace(record, drawn=to, used=used))
        self._may_use(max(to, self.drawn))

    async def take(self, take: Take, to: int, used: int) -> None:
        """Lease `take.amount` more, as far as it lies within the limit, and draw up to `to` of it."""
        before = self.returned
        record = replace(self._mine(), take=take, used=used)
        await self._write(record)
        self.record = None  # until the addition is known to have happened
        self.counter = await self._store.add(self.account, take)
        got = shares.fits(self.account.max, before, self.counter, take.amount)
        leased = record.leased + got
        drawn = max(record.drawn, min(to, leased))
        await self._write(replace(record.giving(take.amount - got), leased=leased, drawn=drawn, take=None))
        self._may_use(drawn)
        await self._count_gifts()

    async def give(self, drawn: int, leased: int, used: int) -> int:
        """Keep only so much; return what goes back. `used` must not exceed `drawn` until this returns."""
        record = self._mine()
        drawn = min(record.drawn, drawn)
        leased = max(drawn, min(record.leased, leased))
        self._may_use(drawn)
        back = record.leased - leased
        await self._write(replace(record.giving(back), leased=leased, drawn=drawn, used=used))
        await self._count_gifts()
        return back

    async def refresh(self, used: int) -> None:
        """Show that this holder lives; count what it gave and nobody has counted."""
        await self._write(replace(self._mine(), used=used))
        await self._count_gifts()

    async def end(self, used: int) -> int:
        """Give back all that is not used; what is used stays counted. Return what goes back."""
        record = self._mine()
        self._may_use(min(self.drawn, max(0, used)))
        await self._write(replace(record, drawn=self.drawn, used=used))
        self.record, self.life = None, ""
        await dissolve(self._store, self.account, self._holder)
        return record.leased - self.drawn

    def _mine(self) -> Record:
        if self.record is None:
            raise Conflict
        return self.record

    def _may_use(self, drawn: int) -> None:
        if drawn != self.drawn:
            self._note(self.account, drawn)
            self.drawn = drawn

    async def _write(self, record: Record) -> None:
        try:
            self._revision = await self._store.put(self.account, self._holder, record.to_json(), self._revision)
        except (Conflict, StoreUnavailable):
            self.record = None
            raise
        self.record = record

    async def _count_gifts(self) -> None:
        for _ in range(_ATTEMPTS if self._mine().gifts else 0):
            entry = await self._store.get(self.account, RETURNS)
            returns = Returns.from_json(entry.text)
            self.returned = max(self.returned, returns.total)
            record = self._mine().given(returns)
            if not record.gifts:
                self.record = record
                return
            # Written after reading: were this life over, its gifts could have been counted and forgotten.
            await self._write(record)
            counted = returns.counting(record)
            try:
                await self._store.put(self.account, RETURNS, counted.to_json(), entry.revision)
            except Conflict:
                continue
            except StoreUnavailable:
                self.record = None
                raise
            self.returned = max(self.returned, counted.total)
            self.record = replace(record, gifts=())
            return


async def dissolve(store: Store, account: Account, name: str, revision: int | None = None) -> int:
    """End a holder's record, of ours or of one that fell silent; return what came back.

    Args:
        store: where it is.
        account: whose record.
        name: the holder.
        revision: the record's, where only this one may be ended.

    Raises:
        Conflict: Somebody else has written it since.
        StoreUnavailable: The end is not complete; whoever tries again completes it.
    """
    back = 0
    for _ in range(_ATTEMPTS):
        entry = await store.get(account, RETURNS)
        returns = Returns.from_json(entry.text)
        standing = await store.get(account, name)
        if not standing.text or revision not in (None, standing.revision):
            raise Conflict
        record = Record.from_json(standing.text)
        if record.over:
            raise Conflict
        record = record.ending()
        # From here on its holder can draw nothing. Written after reading the returns, as in `_count_gifts`.
        revision = await store.put(account, name, record.to_json(), standing.revision)
        if record.take is not None and returns.missing(record):
            await store.add(account, record.take)
        back = sum(gift.amount for gift in returns.missing(record))
        if back:
            try:
                entry = entry._replace(
                    revision=await store.put(account, RETURNS, returns.counting(record).to_json(), entry.revision)
                )
            except Conflict:
                continue
            returns = returns.counting(record)
        over = replace(record, take=None, gifts=())
        await store.put(account, name, over.to_json(), revision, fades=True)
        if record.life in returns.counted:
            with contextlib.suppress(Conflict):  # what is left behind is a name and a number
                await store.put(account, RETURNS, returns.without(record.life).to_json(), entry.revision)
        return back
    raise Conflict
