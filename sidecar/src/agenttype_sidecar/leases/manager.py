"""This pod's leases of shared limits: what calls can use at once, and the tasks that lease more in time.

The hot path reads one number. One task per account talks to the store, so that calls that need more of the same limit
at the same time share one request. While the store is unreachable, what is already drawn can still be used.
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
from agenttype_sidecar.leases.lease_types import AccountStatus, LeaseResult, Outcome, Times
from agenttype_sidecar.leases.peers import Peers
from agenttype_sidecar.leases.plan import Draw, GiveBack, Need, Standing
from agenttype_sidecar.leases.shares import Account, Addition, Conflict, Returns, Store, StoreUnavailable
from agenttype_sidecar.leases.usage_rate import UsageRate


@dataclass(slots=True, eq=False)
class _AccountState:
    """What the manager knows of one account.

    Attributes:
        lease: Our part of it.
        peers: The other holders.
        usage: How fast it is used.
        others_used: What others had used when last read; anything leased since may come back.
        low: Below this room, more must be drawn or leased.
        is_over: Whether a later window has begun.
        settled: When all holders have had time to correct a store that was unreachable.
    """

    lease: Lease
    peers: Peers
    usage: UsageRate
    low: int = 0
    is_over: bool = False
    # calls that wait
    waiting: list[tuple[int, asyncio.Future[LeaseResult]]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    # what was read from the store, and when
    seen: float = -math.inf
    looked: float = -math.inf
    wrote: float = -math.inf
    connection: int = 0
    settled: float = -math.inf
    holders: int = 1
    others_used: int = 0


_log = Log("leases")

#: Steps that serve no waiting call, after which the calls get the answer "exhausted", even if the account still
#: changes.
_STEPS = 12


class LeaseManager:
    """All shared limits of this pod; used from one event loop.

    Attributes:
        returned: How many leases came back, by `REASONS`.
        setbacks: How often this pod found a store restored from older data, and corrected it.
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
            holder: names this pod's ledger; a restarted container keeps it.
            used: returns what the pod has spent and holds of an account.
            record: records what the pod may use; when it returns, the record survives the process. May raise
                LedgerUnavailable.
            clock: monotonic seconds.
            times: durations.
        """
        self.returned: Counter[str] = Counter()
        self.setbacks = 0
        self._store = store
        self._holder = holder
        self._used = used
        self._record = record
        self._clock = clock
        self._times = times or Times()
        self._states: dict[tuple[str, int], _AccountState] = {}
        self._newest: dict[str, int] = {}
        self._restored: dict[tuple[str, int], int] = {}
        self._closing = False

    def restore(self, drawn: Mapping[tuple[str, int], int]) -> None:
        """Take over what a former process had drawn, by key and index of the account."""
        self._restored.update(drawn)

    def room(self, account: Account) -> int:
        """Return what a call can use of an account now; never waits."""
        state = self._state(account)
        usage = state.usage
        usage.requested = True
        used = self._used(account)
        usage.peak = max(usage.peak, used)
        room = state.lease.drawn - used
        if room < state.low:
            self._wake(state)
        return room if room > 0 else 0  # noqa: FURB136 — runs for every limit of every call

    async def request(self, account: Account, amount: int) -> LeaseResult:
        """Try to make `room(account) >= amount`; requests for one account share the requests to the store."""
        if self.room(account) >= amount:
            return LeaseResult(Outcome.GRANTED)
        state = self._state(account)
        future: asyncio.Future[LeaseResult] = asyncio.get_running_loop().create_future()
        state.waiting.append((amount, future))
        state.usage.peak = max(state.usage.peak, self._used(account) + amount)
        self._wake(state)
        return await future

    def view(self, account: Account) -> AccountStatus:
        """Return the status of an account, as far as it is known here."""
        state = self._state(account)
        own = state.lease
        return AccountStatus(
            limit=account.max,
            leased=max(own.outstanding, own.leased),
            drawn=own.drawn,
            used=self._used(account),
            reachable=self._store.reachable,
        )

    def accounts(self) -> Iterator[Account]:
        """Yield the accounts whose window is now."""
        return (state.lease.account for state in self._states.values() if not state.is_over)

    async def run(self) -> None:
        """Maintain all accounts until cancelled."""
        self._store.open()
        while True:
            await asyncio.sleep(self._times.tick)
            now = self._clock()
            for state in [*self._states.values()]:
                self._tick(state, now)

    async def close(self) -> None:
        """Give back all that is unused, and disconnect; what cannot be given back in time stays counted as leased."""
        self._closing = True
        await asyncio.gather(*(self._end(state) for state in self._states.values()))
        await self._store.close()

    # accounts

    def _state(self, account: Account) -> _AccountState:
        state = self._states.get((account.key, account.index))
        if state is None:
            return self._open(account)
        if account.max != state.lease.account.max:
            self._change(state, account)
        return state

    def _open(self, account: Account) -> _AccountState:
        place = (account.key, account.index)
        newest = max(account.index, self._newest.get(account.key, account.index))
        for (key, index), other in self._states.items():
            other.is_over = other.is_over or (key == account.key and index < newest)
        self._newest[account.key] = newest
        own = Lease(self._store, account, self._holder, self._restored.pop(place, 0), self._record)
        usage = UsageRate(self._times, self._used(account), self._clock())
        state = self._states[place] = _AccountState(own, Peers(self._times), usage, is_over=account.index < newest)
        return state

    def _change(self, state: _AccountState, account: Account) -> None:
        """Continue with another limit."""
        state.lease.account = account
        state.seen = -math.inf
        if state.lease.leased > self._used(account):
            self._wake(state)

    def _wake(self, state: _AccountState) -> None:
        if state.task is None and not self._closing:
            state.task = asyncio.create_task(self._work(state))

    # one account's task

    async def _work(self, state: _AccountState) -> None:
        """Take all steps that are due, then answer the waiting calls."""
        fruitless = 0
        try:
            while fruitless < _STEPS and await self._step(state):
                fruitless = 0 if self._grant(state) else fruitless + 1
            self._exhausted(state)
        except (StoreUnavailable, LedgerUnavailable):
            pass
        finally:
            state.task = None
            self._answer(state, LeaseResult(Outcome.UNAVAILABLE, leased_elsewhere=self._elsewhere(state)))

    async def _step(self, state: _AccountState) -> bool:
        """Take one step; return False where no step is left and no waiting call could still be served."""
        own = state.lease
        self._reconnected(state)
        try:
            if self._should_look(state, self._clock()):
                await self._look_at_holders(state)
            elif own.record is not None:
                return await self._move(state)
            elif self._should_attach(state, self._used(own.account)):
                await self._attach(own)
                state.seen = state.wrote = self._clock()
            else:
                return False
        except Conflict:
            pass  # another holder was faster: read again
        return True

    def _reconnected(self, state: _AccountState) -> None:
        """After a new connection, read again all that we know of the other holders."""
        if state.connection != self._store.connections:
            if state.connection:
                state.settled = self._clock() + self._times.settle
            state.connection = self._store.connections
            state.lease.invalidate()
            state.peers.forget()

    async def _attach(self, own: Lease) -> None:
        fenced, setbacks = own.fenced, own.setbacks
        try:
            await own.attach(secrets.token_urlsafe(12))
        finally:
            self.returned["fenced"] += own.fenced - fenced
            self.setbacks += own.setbacks - setbacks
            if own.setbacks > setbacks:
                _log.warning("nats knows less than before", account=own.account.key, out=own.outstanding)

    async def _move(self, state: _AccountState) -> bool:
        own, now = state.lease, self._clock()
        used = self._used(own.account)
        step = self._plan(state, used)
        if step is None:
            if state.waiting and now - state.seen > self._times.fresh:
                await own.reload_sums()
                state.seen = now
                return True
            if self._is_silent_too_long(state, used, now):
                await own.refresh(used)
                state.wrote = now
                return True
            return False
        if isinstance(step, Draw):
            await own.draw(step.to, used)
        elif isinstance(step, GiveBack):
            back = await own.give(step.drawn, step.leased, used)
            self.returned["idle"] += back > 0
        elif now < state.settled:
            await asyncio.sleep(state.settled - now)
        else:
            await own.lease_more(Addition(secrets.token_urlsafe(12), step.amount), step.to, used)
            state.seen = now
        state.wrote = now
        return True

    def _plan(self, state: _AccountState, used: int) -> lease_plan.Draw | lease_plan.LeaseMore | GiveBack | None:
        wanted = self._demand(state)
        standing = self._standing(state, used)
        step = lease_plan.next_step(standing, wanted)
        part = lease_plan.fair_part(standing)
        state.low = min(wanted.ahead, part) // 2 if standing.free > 0 or standing.leased > standing.drawn else 0
        if state.is_over and isinstance(step, GiveBack):
            # What was used of a past window is not known for certain: all that is drawn counts as used.
            return GiveBack(state.lease.drawn, state.lease.drawn) if standing.leased > standing.drawn else None
        return step

    def _standing(self, state: _AccountState, used: int) -> Standing:
        own = state.lease
        return Standing(own.leased, own.drawn, used, own.free, state.holders)

    def _demand(self, state: _AccountState) -> Need:
        state.waiting = [(amount, future) for amount, future in state.waiting if not future.done()]
        return Need(
            waiting=tuple(amount for amount, _ in state.waiting),
            peak=state.usage.recent_peak,
            ahead=int(state.usage.rate * self._times.ahead),
            stock=int(state.usage.rate * self._times.stock),
            is_idle=state.usage.is_idle(self._clock()),
        )

    def _is_silent_too_long(self, state: _AccountState, used: int, now: float) -> bool:
        """Return whether a sign of life, or a new usage, is due; an unchanged idle record needs neither."""
        record = state.lease.record
        news = record is not None and (not record.idle or record.used != used)
        return news and now - state.wrote >= self._times.heartbeat

    def _should_look(self, state: _AccountState, now: float) -> bool:
        """Return whether to read the other holders: only while calls come, and less often if there are many."""
        every = self._times.heartbeat * max(1.0, state.holders / 50)
        return (
            state.usage.requested or now - state.usage.last_request < self._times.lease
        ) and now - state.looked >= every

    def _should_attach(self, state: _AccountState, used: int) -> bool:
        """Return whether we have, may have, or want a part of the account."""
        own = state.lease
        return bool(own.lease_id or state.waiting or own.drawn) or self._plan(state, used) is not None

    async def _look_at_holders(self, state: _AccountState) -> None:
        """Read all holders; end the leases of silent ones."""
        own = state.lease
        look = await self._store.look(own.account, state.peers.revision)
        now = state.looked = state.seen = self._clock()
        own.observe(look.sums)
        state.peers.update(look, self._holder, now)
        returns = Returns.from_json(look.sums.returns.text)
        unused = state.peers.unused(returns, now)
        state.holders = 1 + len(unused)
        # What silent holders had drawn counts as spent.
        state.others_used = own.outstanding - own.leased - sum(unused)
        for name, revision in state.peers.silent(returns, now):
            try:
                back = await lease.end_lease(self._store, own.account, name, revision)
            except Conflict:
                continue
            self.returned["silent"] += back > 0
            state.seen = -math.inf

    # waiting calls

    def _grant(self, state: _AccountState) -> bool:
        """Grant the calls for which there is room now; return whether there were any."""
        room = state.lease.drawn - self._used(state.lease.account)
        served = lease_plan.fitting(room, [amount for amount, _ in state.waiting])
        for position in served:
            future = state.waiting[position][1]
            if not future.done():
                future.set_result(LeaseResult(Outcome.GRANTED))
        state.waiting = [(amount, future) for amount, future in state.waiting if not future.done()]
        return bool(served)

    def _exhausted(self, state: _AccountState) -> None:
        remaining = self._standing(state, self._used(state.lease.account)).remaining
        self._answer(state, LeaseResult(Outcome.EXHAUSTED, remaining, self._elsewhere(state)))

    def _elsewhere(self, state: _AccountState) -> int:
        return max(0, state.lease.outstanding - state.lease.leased - state.others_used)

    def _answer(self, state: _AccountState, result: LeaseResult) -> None:
        waiting, state.waiting = state.waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_result(result)

    # time

    def _tick(self, state: _AccountState, now: float) -> None:
        """Record how an account is used, and wake its task if something is due."""
        own, times = state.lease, self._times
        used = self._used(own.account)
        state.usage.note(now, used)
        if own.record is None or state.connection != self._store.connections:
            due = self._should_attach(state, used)
        else:
            due = self._is_silent_too_long(state, used, now) or self._plan(state, used) is not None
        if due or self._should_look(state, now):
            self._wake(state)
        elif state.is_over and state.task is None and now - state.usage.last_request >= 2 * times.lease:
            del self._states[own.account.key, own.account.index]

    async def _end(self, state: _AccountState) -> None:
        own = state.lease
        if state.task is not None:
            await asyncio.wait({state.task})
        if own.record is None and not own.lease_id and not own.drawn:
            return
        used = own.drawn if state.is_over else self._used(own.account)
        for _ in range(_STEPS):
            try:
                await own.attach(secrets.token_urlsafe(12))
                self.returned["shutdown"] += await own.end(used) > 0
            except Conflict:
                continue
            except (StoreUnavailable, LedgerUnavailable):
                pass
            return
