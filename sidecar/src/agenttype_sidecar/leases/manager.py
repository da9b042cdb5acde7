"""This pod's leases of shared limits: what calls may have at once, and who asks the store for more, in time.

The hot path reads one number. All that concerns the store happens in one task per account, so that calls which want
the same thing at once ask for it together. A store that is away changes nothing for what is drawn already.
"""

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from agenttype_runtime.json_log import Log

from agenttype_sidecar.errors import LedgerUnavailable
from agenttype_sidecar.leases import lease
from agenttype_sidecar.leases import plan as lease_plan
from agenttype_sidecar.leases.lease import Lease
from agenttype_sidecar.leases.peers import Peers
from agenttype_sidecar.leases.plan import Draw, Give, Need, Standing
from agenttype_sidecar.leases.shares import Account, Conflict, Returns, Store, StoreUnavailable, Take
from agenttype_sidecar.leases.terms import Outcome, Times, View, Want
from agenttype_sidecar.leases.usage_rate import UsageRate


@dataclass(slots=True, eq=False)
class _Desk:
    """One account's business.

    Attributes:
        lease: Our part of it.
        company: Who else has one.
        pace: How it is used.
        gone: What others had used when we last looked; all that was leased since may come back.
        low: Room below this is too little for what comes.
        is_over: Whether a later window has begun.
        settled: When all others will have told a store that was away what they know.
    """

    lease: Lease
    company: Peers
    pace: UsageRate
    low: int = 0
    is_over: bool = False
    # what calls do
    waiting: list[tuple[int, asyncio.Future[Want]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    # what the store said, and when
    seen: float = -math.inf
    looked: float = -math.inf
    wrote: float = -math.inf
    connection: int = 0
    settled: float = -math.inf
    holders: int = 1
    gone: int = 0


_log = Log("leases")

#: Steps that help nobody, after which those who still wait are told what there is, however the account moves.
_STEPS = 12


class LeaseManager:
    """All shared limits of this pod; used from one event loop.

    Attributes:
        returned: How many leases came back, by `REASONS`.
        setbacks: How often we found that the store had gone back, and set it right.
    """

    def __init__(
        self,
        store: Store,
        holder: str,
        used: Callable[[Account], int],
        record: Callable[[Account, int], None],
        clock: Callable[[], float],
        *,
        times: Times | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            store: where accounts are kept.
            holder: names this pod's ledger; a container that begins again keeps it.
            used: returns what the pod has spent and holds of an account.
            record: records what the pod may use; when it returns, no death of the process forgets it. May raise
                LedgerUnavailable.
            clock: seconds that never go back.
            times: how long things take.
        """
        self.returned: Counter[str] = Counter()
        self.setbacks = 0
        self._store = store
        self._holder = holder
        self._used = used
        self._record = record
        self._clock = clock
        self._times = times or Times()
        self._desks: dict[tuple[str, int], _Desk] = {}
        self._newest: dict[str, int] = {}
        self._restored: dict[tuple[str, int], int] = {}
        self._closing = False

    def restore(self, drawn: Mapping[tuple[str, int], int]) -> None:
        """Go on with what a former process had drawn, by key and index of the account."""
        self._restored.update(drawn)

    def room(self, account: Account) -> int:
        """Return what a call may have of an account now; never waits."""
        desk = self._desk(account)
        pace = desk.pace
        pace.asked = True
        used = self._used(account)
        pace.peak = max(pace.peak, used)
        room = desk.lease.drawn - used
        if room < desk.low:
            self._kick(desk)
        return room if room > 0 else 0  # noqa: FURB136 — runs for every limit of every call

    async def want(self, account: Account, amount: int) -> Want:
        """Try to make `room(account) >= amount`. Wants of one account ask the store together."""
        if self.room(account) >= amount:
            return Want(Outcome.GRANTED)
        desk = self._desk(account)
        future: asyncio.Future[Want] = asyncio.get_running_loop().create_future()
        desk.waiting.append((amount, future))
        desk.pace.peak = max(desk.pace.peak, self._used(account) + amount)
        self._kick(desk)
        return await future

    def view(self, account: Account) -> View:
        """Return how an account stands, as far as it is known here."""
        desk = self._desk(account)
        own = desk.lease
        return View(
            limit=account.max,
            leased=max(own.out, own.leased),
            drawn=own.drawn,
            used=self._used(account),
            reachable=self._store.reachable,
        )

    def accounts(self) -> Iterator[Account]:
        """Yield the accounts whose window is now."""
        return (desk.lease.account for desk in self._desks.values() if not desk.is_over)

    async def run(self) -> None:
        """Look after all accounts until cancelled."""
        self._store.open()
        while True:
            await asyncio.sleep(self._times.tick)
            now = self._clock()
            for desk in [*self._desks.values()]:
                self._tend(desk, now)

    async def close(self) -> None:
        """Give back all that is not used, and leave the store; what it does not take in time is lost to nobody else."""
        self._closing = True
        await asyncio.gather(*(self._end(desk) for desk in self._desks.values()))
        await self._store.close()

    # desks

    def _desk(self, account: Account) -> _Desk:
        desk = self._desks.get((account.key, account.index))
        if desk is None:
            return self._open(account)
        if account.max != desk.lease.account.max:
            self._change(desk, account)
        return desk

    def _open(self, account: Account) -> _Desk:
        place = (account.key, account.index)
        newest = max(account.index, self._newest.get(account.key, account.index))
        for (key, index), other in self._desks.items():
            other.is_over = other.is_over or (key == account.key and index < newest)
        self._newest[account.key] = newest
        own = Lease(self._store, account, self._holder, self._restored.pop(place, 0), self._record)
        pace = UsageRate(self._times, self._used(account), self._clock())
        desk = self._desks[place] = _Desk(own, Peers(self._times), pace, is_over=account.index < newest)
        return desk

    def _change(self, desk: _Desk, account: Account) -> None:
        """Go on under another limit; nothing is remembered of what did not fit before."""
        desk.lease.account = account
        desk.seen = -math.inf
        if desk.lease.leased > self._used(account):
            self._kick(desk)

    def _kick(self, desk: _Desk) -> None:
        if desk.task is None and not self._closing:
            desk.task = asyncio.create_task(self._work(desk))

    # one account's task

    async def _work(self, desk: _Desk) -> None:
        """Do what there is to do, then answer those who wait."""
        fruitless = 0
        try:
            while fruitless < _STEPS and await self._step(desk):
                fruitless = 0 if self._grant(desk) else fruitless + 1
            self._exhausted(desk)
        except (StoreUnavailable, LedgerUnavailable):
            pass
        finally:
            desk.task = None
            self._tell(desk, Want(Outcome.UNAVAILABLE, leased_elsewhere=self._elsewhere(desk)))

    async def _step(self, desk: _Desk) -> bool:
        """Take one step; return False where none is left and nobody waits who could still be served."""
        own = desk.lease
        self._reconnected(desk)
        try:
            if self._should_look(desk, self._clock()):
                await self._look(desk)
            elif own.record is not None:
                return await self._move(desk)
            elif self._should_attach(desk, self._used(own.account)):
                await self._attach(own)
                desk.seen = desk.wrote = self._clock()
            else:
                return False
        except Conflict:
            pass  # somebody was faster: look again
        return True

    def _reconnected(self, desk: _Desk) -> None:
        """Ask a server that we were not connected to before for all that we know from others."""
        if desk.connection != self._store.connections:
            if desk.connection:
                desk.settled = self._clock() + self._times.settle
            desk.connection = self._store.connections
            desk.lease.doubt()
            desk.company.forget()

    async def _attach(self, own: Lease) -> None:
        fenced, setbacks = own.fenced, own.setbacks
        try:
            await own.attach(secrets.token_urlsafe(12))
        finally:
            self.returned["fenced"] += own.fenced - fenced
            self.setbacks += own.setbacks - setbacks
            if own.setbacks > setbacks:
                _log.warning("nats knows less than before", account=own.account.key, out=own.out)

    async def _move(self, desk: _Desk) -> bool:
        own, now = desk.lease, self._clock()
        used = self._used(own.account)
        step = self._plan(desk, used)
        if step is None:
            if desk.waiting and now - desk.seen > self._times.fresh:
                await own.see()
                desk.seen = now
                return True
            if self._is_silent_too_long(desk, used, now):
                await own.refresh(used)
                desk.wrote = now
                return True
            return False
        if isinstance(step, Draw):
            await own.draw(step.to, used)
        elif isinstance(step, Give):
            back = await own.give(step.drawn, step.leased, used)
            self.returned["idle"] += back > 0
        elif now < desk.settled:
            await asyncio.sleep(desk.settled - now)
        else:
            await own.take(Take(secrets.token_urlsafe(12), step.amount), step.to, used)
            desk.seen = now
        desk.wrote = now
        return True

    def _plan(self, desk: _Desk, used: int) -> lease_plan.Draw | lease_plan.LeaseMore | Give | None:
        wanted = self._demand(desk)
        standing = self._standing(desk, used)
        step = lease_plan.next_step(standing, wanted)
        part = lease_plan.fair_part(standing)
        desk.low = min(wanted.ahead, part) // 2 if standing.free > 0 or standing.leased > standing.drawn else 0
        if desk.is_over and isinstance(step, Give):
            # What was used of a window that is over is not known here for sure: all that is drawn counts as used.
            return Give(desk.lease.drawn, desk.lease.drawn) if standing.leased > standing.drawn else None
        return step

    def _standing(self, desk: _Desk, used: int) -> Standing:
        own = desk.lease
        return Standing(own.leased, own.drawn, used, own.free, desk.holders)

    def _demand(self, desk: _Desk) -> Need:
        desk.waiting = [(amount, future) for amount, future in desk.waiting if not future.done()]
        return Need(
            waiting=tuple(amount for amount, _ in desk.waiting),
            peak=desk.pace.recent_peak,
            ahead=int(desk.pace.rate * self._times.ahead),
            stock=int(desk.pace.rate * self._times.stock),
            is_idle=desk.pace.is_idle(self._clock()),
        )

    def _is_silent_too_long(self, desk: _Desk, used: int, now: float) -> bool:
        """Return whether to show that we live, or what we use; at rest neither is news."""
        record = desk.lease.record
        news = record is not None and (not record.idle or record.used != used)
        return news and now - desk.wrote >= self._times.sign

    def _should_look(self, desk: _Desk, now: float) -> bool:
        """Return whether to look at other holders: while calls come, and more seldom the more do it."""
        every = self._times.sign * max(1.0, desk.holders / 50)
        return (desk.pace.asked or now - desk.pace.quiet < self._times.lease) and now - desk.looked >= every

    def _should_attach(self, desk: _Desk, used: int) -> bool:
        """Return whether something of ours is out there, or may be, or is to be had."""
        own = desk.lease
        return bool(own.life or desk.waiting or own.drawn) or self._plan(desk, used) is not None

    async def _look(self, desk: _Desk) -> None:
        """Look at all holders; end those that are silent."""
        own = desk.lease
        look = await self._store.look(own.account, desk.company.revision)
        now = desk.looked = desk.seen = self._clock()
        own.saw(look.sums)
        desk.company.meet(look, self._holder, now)
        returns = Returns.from_json(look.sums.returns.text)
        unused = desk.company.unused(returns, now)
        desk.holders = 1 + len(unused)
        # What the silent ones had drawn is as good as spent.
        desk.gone = own.out - own.leased - sum(unused)
        for name, revision in desk.company.silent(returns, now):
            try:
                back = await lease.dissolve(self._store, own.account, name, revision)
            except Conflict:
                continue
            self.returned["silent"] += back > 0
            desk.seen = -math.inf

    # those who wait

    def _grant(self, desk: _Desk) -> bool:
        """Answer those for whom there is room now; return whether there was any."""
        room = desk.lease.drawn - self._used(desk.lease.account)
        served = lease_plan.fitting(room, [amount for amount, _ in desk.waiting])
        for position in served:
            future = desk.waiting[position][1]
            if not future.done():
                future.set_result(Want(Outcome.GRANTED))
        desk.waiting = [(amount, future) for amount, future in desk.waiting if not future.done()]
        return bool(served)

    def _exhausted(self, desk: _Desk) -> None:
        remaining = self._standing(desk, self._used(desk.lease.account)).remaining
        self._tell(desk, Want(Outcome.EXHAUSTED, remaining, self._elsewhere(desk)))

    def _elsewhere(self, desk: _Desk) -> int:
        return max(0, desk.lease.out - desk.lease.leased - desk.gone)

    def _tell(self, desk: _Desk, want: Want) -> None:
        waiting, desk.waiting = desk.waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_result(want)

    # time

    def _tend(self, desk: _Desk, now: float) -> None:
        """Note how an account is used, and wake its task where something is due."""
        own, times = desk.lease, self._times
        used = self._used(own.account)
        desk.pace.note(now, used)
        if own.record is None or desk.connection != self._store.connections:
            due = self._should_attach(desk, used)
        else:
            due = self._is_silent_too_long(desk, used, now) or self._plan(desk, used) is not None
        if due or self._should_look(desk, now):
            self._kick(desk)
        elif desk.is_over and desk.task is None and now - desk.pace.quiet >= 2 * times.lease:
            del self._desks[own.account.key, own.account.index]

    async def _end(self, desk: _Desk) -> None:
        own = desk.lease
        if desk.task is not None:
            await asyncio.wait({desk.task})
        if own.record is None and not own.life and not own.drawn:
            return
        used = own.drawn if desk.is_over else self._used(own.account)
        for _ in range(_STEPS):
            try:
                await own.attach(secrets.token_urlsafe(12))
                self.returned["shutdown"] += await own.end(used) > 0
            except Conflict:
                continue
            except (StoreUnavailable, LedgerUnavailable):
                pass
            return
