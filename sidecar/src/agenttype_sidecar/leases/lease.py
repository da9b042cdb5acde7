"""One holder's part of one account, and its steps. Each step may be cut off, delayed or repeated at any point.

Three rules make it so:

- A step that raises what may be used takes effect after the store has it; one that lowers it, before.
- What is read counts only after a write of ours has succeeded on that revision: an earlier write whose answer was lost
  can then no longer happen.
- What comes back is counted once: the refund is in the holder's record first, and the write that counts it names it.

The caller runs one step at a time.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace

from agenttype_sidecar.leases import shares
from agenttype_sidecar.leases.shares import (
    RETURNS,
    Account,
    Addition,
    Conflict,
    Entry,
    Record,
    Recovery,
    Returns,
    Store,
    StoreUnavailable,
    Sums,
)

#: How often a step starts again when others have changed the entries, before it gives up for now.
_ATTEMPTS = 3


class Lease:
    """What this pod has of one account.

    Attributes:
        account: The limit; its `max` may change.
        drawn: What the pod may use in this window.
        record: Our record in the store, None while it is not known.
        counter: The counter when last read.
        returned: What had come back when last read.
        lease_id: Of the record that we wrote last; empty where there is none.
        fenced: How often others have ended our record.
        epoch: How often the store was restored from older data when last read; None before the first read.
        setbacks: How often this holder was the one that detected it.
    """

    def __init__(
        self, store: Store, account: Account, holder: str, drawn: int, record_drawn: Callable[[Account, int], None]
    ) -> None:
        """Begin with what a former process had drawn; `record_drawn` returns once the amount is recorded locally."""
        self.account = account
        self.drawn = drawn
        self.record: Record | None = None
        self.counter = 0
        self.returned = 0
        self.lease_id = ""
        self.fenced = 0
        self.epoch: int | None = None
        self.setbacks = 0
        self._store = store
        self._holder = holder
        self._record_drawn = record_drawn
        self._revision = 0

    @property
    def leased(self) -> int:
        """What can be drawn without asking for more; never less than what is drawn."""
        return self.drawn if self.record is None else max(self.drawn, self.record.leased)

    @property
    def outstanding(self) -> int:
        """What all holders have leased or spent, as far as known."""
        return self.counter - self.returned

    @property
    def free(self) -> int:
        """What no holder has leased, as far as known; negative after the limit was lowered below `outstanding`."""
        return self.account.max - self.outstanding

    async def attach(self, lease_id: str) -> None:
        """Find or create our record; `lease_id` names a new one. Complete any step that was left half done."""
        if self.record is not None:
            return
        sums, entry, found = await self._read()
        if found is not None and found.ended and not found.over:
            await end_lease(self._store, self.account, self._holder)
            sums, entry, found = await self._read()
        recovery = Returns.from_json(sums.returns.text).recovery
        is_behind = self._is_behind(sums, entry, found)
        if is_behind:
            sums = await self._read_confirmed(lease_id, sums)
            is_behind = self._is_behind(sums, entry, found)
        is_older = is_behind or entry.revision <= recovery.floor
        if found is None or is_older:
            # What we had drawn counts; anything else of ours from before the restore is lost.
            known_drawn, found = found.drawn if found else 0, Record(lease_id, self.drawn, self.drawn)
        else:
            known_drawn = found.drawn
            if found.ended:
                # What it had drawn, perhaps more than we know of, stayed counted; no other holder can give it back.
                found = Record(lease_id, found.drawn, found.drawn)
        known, self._revision = self._revision, entry.revision
        try:
            await self._write(found)
        except (Conflict, StoreUnavailable):
            self._revision = known
            raise
        self.fenced += not is_older and self.lease_id not in ("", found.lease_id)
        self.lease_id = found.lease_id
        if is_behind:
            await self._recover(lease_id, known_drawn, sums)
        else:
            await self._catch_up(lease_id, recovery)
        self.observe(sums)
        self._set_drawn(found.drawn)
        if found.pending is not None:
            # It is no longer known what had come back before it, so none of it can be used.
            self.record = None
            self.counter = await self._store.add(self.account, found.pending)
            await self._write(replace(found.refunding(found.pending.amount), pending=None))
        await self._count_refunds()

    def invalidate(self) -> None:
        """Forget our record, so that it is read from the store again."""
        self.record = None

    async def _read(self) -> tuple[Sums, Entry, Record | None]:
        """Read the sums and our own record; first complete a recovery that another holder has begun."""
        sums = await self._store.sums(self.account)
        returns = Returns.from_json(sums.returns.text)
        if returns.recovery.owed is not None:
            await self._add_owed(returns, sums.returns.revision)
            sums = await self._store.sums(self.account)
        entry = await self._store.get(self.account, self._holder)
        return sums, entry, Record.from_json(entry.text) if entry.text else None

    # a store that was restored from an older copy, or lost its data

    def _is_behind(self, sums: Sums, entry: Entry, found: Record | None) -> bool:
        """Return whether the store, or the server that answered, knows less than we do."""
        returns = Returns.from_json(sums.returns.text)
        epoch = returns.recovery.epoch
        if self.epoch is not None and epoch != self.epoch:
            return epoch < self.epoch
        if found is None:
            is_lost = sums.counter < self.drawn
        else:
            is_old = entry.revision <= returns.recovery.floor
            is_lost = not is_old and (entry.revision < self._revision or found.drawn < self.drawn)
        return is_lost or sums.counter < self.counter or returns.total < self.returned

    async def _read_confirmed(self, lease_id: str, sums: Sums) -> Sums:
        """Return the sums as of a write, because a read may come from a server that is behind the others."""
        counter = await self._store.add(self.account, Addition(f"{lease_id}-now", 0))
        text = Returns.from_json(sums.returns.text).to_json()
        revision = await self._store.put(self.account, RETURNS, text, sums.returns.revision)
        return Sums(counter, Entry(text, revision))

    async def _recover(self, lease_id: str, known_drawn: int, sums: Sums) -> None:
        """Add again what the store has lost, as far as we know: ours, and that of all other holders.

        Then no addition that we have seen is missing, because the counter had told us of all before ours. What came
        back since the copy was made is not returned twice, because older records cannot return anything any more.

        Args:
            lease_id: unique.
            known_drawn: how much of what we have drawn the store knew.
            sums: the store's, confirmed by a write.
        """
        returns = Returns.from_json(sums.returns.text)
        recovery = returns.recovery
        owed = max(self.outstanding - (sums.counter - returns.total), self.drawn - known_drawn, 0)
        due = Addition(f"{lease_id}-owed", owed) if owed else None
        floor = self._revision - 1
        if self.epoch is None:
            # A process that started after the restore knows only its own part.
            recovery = recovery._replace(floor=floor, owed=due)
        else:
            recovery = Recovery(max(recovery.epoch, self.epoch) + 1, floor, self.counter, due)
        self.setbacks += 1
        await self._write_recovery(replace(returns, recovery=recovery), sums.returns.revision)
        self._begin_epoch(recovery.epoch, sums.counter, returns.total)

    async def _catch_up(self, lease_id: str, recovery: Recovery) -> None:
        """Enter an epoch that another holder began, and add what it could not know."""
        if self.epoch is None or recovery.epoch == self.epoch:
            self.epoch = recovery.epoch
            return
        due = self.counter - recovery.covered if recovery.epoch == self.epoch + 1 else self.drawn
        entry = await self._store.get(self.account, RETURNS)
        returns = Returns.from_json(entry.text)
        if returns.recovery != recovery:
            self.record = None
            raise Conflict
        if due > 0:
            covered = max(recovery.covered, self.counter) if recovery.epoch == self.epoch + 1 else recovery.covered
            recovery = recovery._replace(covered=covered, owed=Addition(f"{lease_id}-owed", due))
            await self._write_recovery(replace(returns, recovery=recovery), entry.revision)
        self._begin_epoch(recovery.epoch, 0, returns.total)

    def _begin_epoch(self, epoch: int, counter: int, returned: int) -> None:
        self.epoch, self.counter, self.returned = epoch, counter, returned

    async def _write_recovery(self, returns: Returns, revision: int) -> None:
        """Record that an addition is owed, and make it."""
        try:
            revision = await self._store.put(self.account, RETURNS, returns.to_json(), revision)
        except (Conflict, StoreUnavailable):
            self.record = None
            raise
        if returns.recovery.owed is not None:
            await self._add_owed(returns, revision)

    async def _add_owed(self, returns: Returns, revision: int) -> None:
        """Make the owed addition, then remove it; any holder that finds it does this, and it counts once."""
        owed = returns.recovery.owed
        if owed is None:
            return
        try:
            await self._store.add(self.account, owed)
            paid = replace(returns, recovery=returns.recovery._replace(owed=None))
            await self._store.put(self.account, RETURNS, paid.to_json(), revision)
        except (Conflict, StoreUnavailable):
            self.record = None
            raise

    async def reload_sums(self) -> None:
        """Read the sums again."""
        self.observe(await self._store.sums(self.account))

    def observe(self, sums: Sums) -> None:
        """Record the sums; within one epoch they only grow."""
        returns = Returns.from_json(sums.returns.text)
        if self.epoch is not None and returns.recovery.epoch != self.epoch:
            if returns.recovery.epoch > self.epoch:
                self.invalidate()
            return
        self.counter = max(self.counter, sums.counter)
        self.returned = max(self.returned, returns.total)

    async def draw(self, to: int, used: int) -> None:
        """Raise what may be used, out of what is leased."""
        record = self._own_record()
        to = min(to, record.leased)
        if to > record.drawn:
            await self._write(replace(record, drawn=to, used=used))
        self._set_drawn(max(to, self.drawn))

    async def lease_more(self, addition: Addition, to: int, used: int) -> None:
        """Lease `addition.amount` more, as far as the limit allows, and draw up to `to` of it."""
        before, known = self.returned, self.counter
        record = replace(self._own_record(), pending=addition, used=used)
        await self._write(record)
        self.record = None  # until the addition is known to have happened
        counter = await self._store.add(self.account, addition)
        if counter < known + addition.amount:
            raise Conflict  # the store was restored from older data: `attach` handles it
        self.counter = counter
        got = shares.fits(self.account.max, before, self.counter, addition.amount)
        leased = record.leased + got
        drawn = max(record.drawn, min(to, leased))
        await self._write(replace(record.refunding(addition.amount - got), leased=leased, drawn=drawn, pending=None))
        self._set_drawn(drawn)
        await self._count_refunds()

    async def give(self, drawn: int, leased: int, used: int) -> int:
        """Keep only this much; return what goes back. `used` must not exceed `drawn` until this returns."""
        record = self._own_record()
        drawn = min(record.drawn, drawn)
        leased = max(drawn, min(record.leased, leased))
        self._set_drawn(drawn)
        back = record.leased - leased
        await self._write(replace(record.refunding(back), leased=leased, drawn=drawn, used=used))
        await self._count_refunds()
        return back

    async def refresh(self, used: int) -> None:
        """Renew the record, as a sign of life, and count refunds that are not counted yet."""
        await self._write(replace(self._own_record(), used=used))
        await self._count_refunds()

    async def end(self, used: int) -> int:
        """Give back all that is unused; what is used stays counted. Return what goes back."""
        record = self._own_record()
        self._set_drawn(min(self.drawn, max(0, used)))
        await self._write(replace(record, drawn=self.drawn, used=used))
        self.record, self.lease_id = None, ""
        await end_lease(self._store, self.account, self._holder)
        return record.leased - self.drawn

    def _own_record(self) -> Record:
        if self.record is None:
            raise Conflict
        return self.record

    def _set_drawn(self, drawn: int) -> None:
        if drawn != self.drawn:
            self._record_drawn(self.account, drawn)
            self.drawn = drawn

    async def _write(self, record: Record) -> None:
        try:
            self._revision = await self._store.put(self.account, self._holder, record.to_json(), self._revision)
        except (Conflict, StoreUnavailable):
            self.record = None
            raise
        self.record = record

    async def _count_refunds(self) -> None:
        for _ in range(_ATTEMPTS if self._own_record().refunds else 0):
            entry = await self._store.get(self.account, RETURNS)
            returns = Returns.from_json(entry.text)
            self.returned = max(self.returned, returns.total)
            record = self._own_record().uncounted(returns)
            if not record.refunds:
                self.record = record
                return
            # Written after reading: if this lease had ended, its refunds might already be counted and removed.
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
            self.record = replace(record, refunds=())
            return


async def end_lease(store: Store, account: Account, name: str, revision: int | None = None) -> int:
    """End a holder's record, our own or a silent holder's; return what came back.

    Args:
        store: where the record is.
        account: the account.
        name: the holder.
        revision: the record's, if only this revision may be ended.

    Raises:
        Conflict: It was changed in the meantime.
        StoreUnavailable: The end is not complete; the next attempt completes it.
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
        if standing.revision <= returns.recovery.floor:
            record = returns.trusted_part(record, standing.revision)
        record = record.ending()
        # From now on its holder can draw nothing. Written after reading the returns, as in `_count_refunds`.
        revision = await store.put(account, name, record.to_json(), standing.revision)
        if record.pending is not None and returns.missing(record):
            await store.add(account, record.pending)
        back = sum(refund.amount for refund in returns.missing(record))
        if back:
            try:
                entry = entry._replace(
                    revision=await store.put(account, RETURNS, returns.counting(record).to_json(), entry.revision)
                )
            except Conflict:
                continue
            returns = returns.counting(record)
        over = replace(record, pending=None, refunds=())
        await store.put(account, name, over.to_json(), revision, fades=True)
        if record.lease_id in returns.counted:
            with contextlib.suppress(Conflict):  # only a name and a number would be left
                await store.put(account, RETURNS, returns.without(record.lease_id).to_json(), entry.revision)
        return back
    raise Conflict
