"""The limits that this pod shares with others: what it may use of them, and where more comes from.

Which limits are shared, and where they are counted, is a matter of policy: `adopt` follows it. What a pod may use of a
limit stands in its own ledger; everything else is between `leases` and the store.
"""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from agenttype_api.policy import Limit, Policy
from agenttype_api.policy import Nats as At
from agenttype_runtime.json_log import Log

from agenttype_sidecar.budget import windows
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import Line
from agenttype_sidecar.leases import shares
from agenttype_sidecar.leases.manager import LeaseManager
from agenttype_sidecar.leases.nats_store import NatsStore
from agenttype_sidecar.leases.shares import Account
from agenttype_sidecar.leases.terms import Want

#: A store that is away for less than this is not worth telling.
_BRIEF: Final = 3.0
#: How often to look whether a store that was only just named has answered.
_GLANCE: Final = 0.02
#: How long the end of the process waits for unused shares to go back.
_FAREWELL: Final = 3.0
_log = Log("shared_limits")


class SharedLimits:
    """This pod's part of shared limits.

    Attributes:
        store: Where they are counted; None where none is shared.
        leases: What is ours of them; None where none is shared.
    """

    def __init__(self, ledger: Ledger, token: Path) -> None:
        """Count in `ledger`; prove ourselves to the store with the file `token`, where there is one."""
        self._ledger = ledger
        self._token = token
        self._at: At | None = None
        self.store: NatsStore | None = None
        self.leases: LeaseManager | None = None
        self._task: asyncio.Task[None] | None = None
        self._over: dict[str, tuple[int, int]] = {}
        self._away_since: float | None = None
        self._patient_until = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    def adopt(self, policy: Policy) -> None:
        """Use the store that a policy names."""
        if policy.nats == self._at:
            return
        self._at = policy.nats
        if self.leases is not None:
            leaving = asyncio.create_task(_leave(self.leases, self._task))
            self._closing.add(leaving)
            leaving.add_done_callback(self._closing.discard)
        self._task = self.leases = self.store = None
        if policy.nats is None:
            return
        self._patient_until = time.monotonic() + _BRIEF
        token = self._token if self._token.exists() else None
        self.store = NatsStore(policy.nats, token, policy.identity)
        self.leases = LeaseManager(self.store, self._ledger.holder, self.used, self._record, time.monotonic)
        self.leases.restore(self._ledger.all_drawn())
        self._task = asyncio.create_task(self.leases.run())

    def account(self, limit: Limit) -> Account:
        """Return the account of a shared limit, in the window that is now."""
        return shares.account(limit, windows.index(limit.window, self._ledger.book.minute))

    def line(self, limit: Limit) -> Line:
        """Return what is spent, held and drawn of a shared limit by this pod."""
        account, book = self.account(limit), self._ledger.book
        self._turned(account)
        key = account.key
        drawn = self._ledger.drawn(key, account.index)
        spent, held = book.standing(key, limit.resource)
        return Line(limit, spent, held, drawn, self._free(account))

    def _free(self, account: Account) -> int:
        return 0 if self.leases is None else max(0, account.max - self.leases.view(account).leased)

    def ask(self, limit: Limit) -> None:
        """Note that a call is about to use a limit, so that there is enough of it in time."""
        if self.leases is not None:
            self.leases.room(self.account(limit))

    async def want(self, limit: Limit, amount: int) -> Want | None:
        """Try to have room for `amount`; None where no store is known."""
        store, leases = self.store, self.leases
        if store is None or leases is None:
            return None
        while not store.reachable and time.monotonic() < self._patient_until:  # noqa: ASYNC110 — once, at the start
            await asyncio.sleep(_GLANCE)
        return await leases.want(self.account(limit), amount)

    def used(self, account: Account) -> int:
        """Return what this pod has spent and holds of an account; of one whose window is over, what it was then."""
        count = self._ledger.book.counts.get(account.key)
        if count is not None and count.index == account.index:
            return sum(self._ledger.book.standing(account.key, account.resource))
        index, used = self._over.get(account.key, (account.index, 0))
        return used if index == account.index else 0

    @property
    def error(self) -> str:
        """Why shared limits cannot be counted; empty while they can or none is shared."""
        if self.store is None or self.store.reachable:
            self._away_since = None
            return ""
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        if now - self._away_since < _BRIEF:
            return ""
        return (
            "NATS, which counts shared limits, does not answer; what is drawn of them can be spent, nothing beyond it"
        )

    @property
    def is_reachable(self) -> bool:
        """Whether the store answers, or none is needed."""
        return self.store is None or self.store.reachable

    async def close(self) -> None:
        """Give back what is not used."""
        if self.leases is not None:
            await _leave(self.leases, self._task)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _record(self, account: Account, drawn: int) -> None:
        self._turned(account)
        self._ledger.draw(account.key, account.index, drawn)

    def _turned(self, account: Account) -> None:
        """Remember what was used of the window before, as `used` must be able to tell."""
        count = self._ledger.book.counts.get(account.key)
        if count is not None and count.index < account.index:
            before = replace(account, index=count.index)
            self._over[account.key] = (before.index, self.used(before))


async def _leave(leases: LeaseManager, task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    try:
        async with asyncio.timeout(_FAREWELL):
            await leases.close()
    except TimeoutError:
        _log.warning("shares not given back", seconds=_FAREWELL)
