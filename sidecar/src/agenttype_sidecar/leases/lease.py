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
    Entry,
    Past,
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
        era: How often the store had gone back when last seen; None before.
        setbacks: How often we were the one who found out.
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
        self.era: int | None = None
        self.setbacks = 0
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
        sums, entry, found = await self._read()
        if found is not None and found.ended and not found.over:
            await dissolve(self._store, self.account, self._holder)
            sums, entry, found = await self._read()
        past = Returns.from_json(sums.returns.text).past
        is_behind = self._is_behind(sums, entry, found)
        if is_behind:
            sums = await self._confirmed(life, sums)
            is_behind = self._is_behind(sums, entry, found)
        is_past = is_behind or entry.revision <= past.floor
        if found is None or is_past:
            # What we had drawn counts; whatever else was ours in another past is lost to all.
            there, found = found.drawn if found else 0, Record(life, self.drawn, self.drawn)
        else:
            there = found.drawn
            if found.ended:
                # What it had drawn, perhaps more than we heard of, stayed counted; nobody else can give it back.
                found = Record(life, found.drawn, found.drawn)
        known, self._revision = self._revision, entry.revision
        try:
            await self._write(found)
        except (Conflict, StoreUnavailable):
            self._revision = known
            raise
        self.fenced += not is_past and self.life not in ("", found.life)
        self.life = found.life
        if is_behind:
            await self._set_right(life, there, sums)
        else:
            await self._catch_up(life, past)
        self.saw(sums)
        self._may_use(found.drawn)
        if found.take is not None:
            # Nobody knows any more what had come back before it, so none of it can be used.
            self.record = None
            self.counter = await self._store.add(self.account, found.take)
            await self._write(replace(found.giving(found.take.amount), take=None))
        await self._count_gifts()

    def doubt(self) -> None:
        """Believe nothing of what the store had said, until it is asked again."""
        self.record = None

    async def _read(self) -> tuple[Sums, Entry, Record | None]:
        """Read the sums and our own record; complete first what somebody else had begun to set right."""
        sums = await self._store.sums(self.account)
        returns = Returns.from_json(sums.returns.text)
        if returns.past.owed is not None:
            await self._pay(returns, sums.returns.revision)
            sums = await self._store.sums(self.account)
        entry = await self._store.get(self.account, self._holder)
        return sums, entry, Record.from_json(entry.text) if entry.text else None

    # a store that went back: to an older copy, or to nothing

    def _is_behind(self, sums: Sums, entry: Entry, found: Record | None) -> bool:
        """Return whether the store knows less than we do, or whoever answered is slow."""
        returns = Returns.from_json(sums.returns.text)
        era = returns.past.era
        if self.era is not None and era != self.era:
            return era < self.era
        if found is None:
            is_lost = sums.counter < self.drawn
        else:
            is_old = entry.revision <= returns.past.floor
            is_lost = not is_old and (entry.revision < self._revision or found.drawn < self.drawn)
        return is_lost or sums.counter < self.counter or returns.total < self.returned

    async def _confirmed(self, life: str, sums: Sums) -> Sums:
        """Return the sums as writes know them: reads may be answered by a server that is behind the others."""
        counter = await self._store.add(self.account, Take(f"{life}-now", 0))
        text = Returns.from_json(sums.returns.text).to_json()
        revision = await self._store.put(self.account, RETURNS, text, sums.returns.revision)
        return Sums(counter, Entry(text, revision))

    async def _set_right(self, life: str, there: int, sums: Sums) -> None:
        """Count again what the store has forgotten, as far as we know of it: ours, and that of all others.

        Nobody's additions that we have seen are missing then: the counter told us of all before ours. What came back
        since the copy was made is not given twice, because records from before may give nothing any more.

        Args:
            life: unique.
            there: what the store knew of what we have drawn.
            sums: what it says, confirmed.
        """
        returns = Returns.from_json(sums.returns.text)
        past = returns.past
        owed = max(self.out - (sums.counter - returns.total), self.drawn - there, 0)
        due = Take(f"{life}-owed", owed) if owed else None
        floor = self._revision - 1
        if self.era is None:
            # A process that began after it all knows of its own part only.
            past = past._replace(floor=floor, owed=due)
        else:
            past = Past(max(past.era, self.era) + 1, floor, self.counter, due)
        self.setbacks += 1
        await self._tell(replace(returns, past=past), sums.returns.revision)
        self._begin(past.era, sums.counter, returns.total)

    async def _catch_up(self, life: str, past: Past) -> None:
        """Begin a new era that somebody else found, and add what he could not know."""
        if self.era is None or past.era == self.era:
            self.era = past.era
            return
        due = self.counter - past.covered if past.era == self.era + 1 else self.drawn
        entry = await self._store.get(self.account, RETURNS)
        returns = Returns.from_json(entry.text)
        if returns.past != past:
            self.record = None
            raise Conflict
        if due > 0:
            covered = max(past.covered, self.counter) if past.era == self.era + 1 else past.covered
            past = past._replace(covered=covered, owed=Take(f"{life}-owed", due))
            await self._tell(replace(returns, past=past), entry.revision)
        self._begin(past.era, 0, returns.total)

    def _begin(self, era: int, counter: int, returned: int) -> None:
        self.era, self.counter, self.returned = era, counter, returned

    async def _tell(self, returns: Returns, revision: int) -> None:
        """Write that something is owed, and pay it."""
        try:
            revision = await self._store.put(self.account, RETURNS, returns.to_json(), revision)
        except (Conflict, StoreUnavailable):
            self.record = None
            raise
        if returns.past.owed is not None:
            await self._pay(returns, revision)

    async def _pay(self, returns: Returns, revision: int) -> None:
        """Add what is owed, then strike it out; whoever finds it does, and it counts once."""
        owed = returns.past.owed
        if owed is None:
            return
        try:
            await self._store.add(self.account, owed)
            paid = replace(returns, past=returns.past._replace(owed=None))
            await self._store.put(self.account, RETURNS, paid.to_json(), revision)
        except (Conflict, StoreUnavailable):
            self.record = None
            raise

    async def see(self) -> None:
        """Read the sums anew."""
        self.saw(await self._store.sums(self.account))

    def saw(self, sums: Sums) -> None:
        """Take note of the sums; none of them goes back while the era lasts."""
        returns = Returns.from_json(sums.returns.text)
        if self.era is not None and returns.past.era != self.era:
            if returns.past.era > self.era:
                self.doubt()
            return
        self.counter = max(self.counter, sums.counter)
        self.returned = max(self.returned, returns.total)

    async def draw(self, to: int, used: int) -> None:
        """Raise what may be used, out of what is leased."""
        record = self._mine()
        to = min(to, record.leased)
        if to > record.drawn:
            await self._write(replace(record, drawn=to, used=used))
        self._may_use(max(to, self.drawn))

    async def take(self, take: Take, to: int, used: int) -> None:
        """Lease `take.amount` more, as far as it lies within the limit, and draw up to `to` of it."""
        before, known = self.returned, self.counter
        record = replace(self._mine(), take=take, used=used)
        await self._write(record)
        self.record = None  # until the addition is known to have happened
        counter = await self._store.add(self.account, take)
        if counter < known + take.amount:
            raise Conflict  # the store went back: `attach` will see to it
        self.counter = counter
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
        if standing.revision <= returns.past.floor:
            record = returns.standing(record, standing.revision)
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
