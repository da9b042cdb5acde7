"""The limits that this pod shares with others: what it may use of them, and how it gets more.

The policy says which limits are shared and where they are counted; `adopt` follows it. What a pod may use of a limit is
in its own ledger; `leases` and NATS do everything else.
"""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agenttype_api.policy import Limit, Policy
from agenttype_api.policy import Nats as NatsSettings
from agenttype_runtime.json_log import Log

from agenttype_sidecar.budget import windows
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import BudgetLine
from agenttype_sidecar.leases import shares
from agenttype_sidecar.leases.lease_types import LeaseResult
from agenttype_sidecar.leases.manager import LeaseManager
from agenttype_sidecar.leases.shares import Account

if TYPE_CHECKING:  # imported when a limit is shared; other sidecars must not pay for it
    from agenttype_sidecar.leases.nats_store import NatsStore

#: An outage of NATS shorter than this is not reported.
_GRACE_SECONDS: Final = 3.0
#: How often to check, at the start, whether NATS has answered.
_POLL_SECONDS: Final = 0.02
#: How long the end of the process waits for unused shares to go back.
_CLOSE_SECONDS: Final = 3.0
_log = Log("shared_limits")


class SharedLimits:
    """This pod's part of shared limits.

    Attributes:
        nats: Where they are counted; None if no limit is shared.
        leases: This pod's leases of them; None if no limit is shared.
    """

    def __init__(self, ledger: Ledger, token: Path) -> None:
        """Count in `ledger`; authenticate to NATS with the file `token`, if it exists."""
        self._ledger = ledger
        self._token = token
        self._settings: NatsSettings | None = None
        self.nats: NatsStore | None = None
        self.leases: LeaseManager | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed_windows: dict[str, tuple[int, int]] = {}
        self._unreachable_since: float | None = None
        self._startup_until = 0.0
        self._closing: set[asyncio.Task[None]] = set()

    def adopt(self, policy: Policy) -> None:
        """Use the NATS server that a policy names."""
        if policy.nats == self._settings:
            return
        self._settings = policy.nats
        if self.leases is not None:
            leaving = asyncio.create_task(_close(self.leases, self._task))
            self._closing.add(leaving)
            leaving.add_done_callback(self._closing.discard)
        self._task = self.leases = self.nats = None
        if policy.nats is None:
            return
        from agenttype_sidecar.leases.nats_store import NatsStore  # noqa: PLC0415 — see the top

        self._startup_until = time.monotonic() + _GRACE_SECONDS
        token = self._token if self._token.exists() else None
        self.nats = NatsStore(policy.nats, token, policy.identity)
        self.leases = LeaseManager(self.nats, self._ledger.holder, self.used, self._record, time.monotonic)
        self.leases.restore(self._ledger.all_drawn())
        self._task = asyncio.create_task(self.leases.run())

    def account(self, limit: Limit) -> Account:
        """Return the account of a shared limit in the current window."""
        return shares.account(limit, windows.index(limit.window, self._ledger.balances.minute))

    def line(self, limit: Limit) -> BudgetLine:
        """Return what is spent, held and drawn of a shared limit by this pod."""
        account, balances = self.account(limit), self._ledger.balances
        self._remember_window(account)
        key = account.key
        drawn = self._ledger.drawn(key, account.index)
        spent, held = balances.spent_and_held(key, limit.resource)
        return BudgetLine(limit, spent, held, drawn, self._free(account))

    def _free(self, account: Account) -> int:
        return 0 if self.leases is None else max(0, account.max - self.leases.view(account).leased)

    def note_use(self, limit: Limit) -> None:
        """Record that a call is about to use a limit, so that enough of it is leased in time."""
        if self.leases is not None:
            self.leases.room(self.account(limit))

    async def request(self, limit: Limit, amount: int) -> LeaseResult | None:
        """Try to get room for `amount`; None if no NATS server is known."""
        nats, leases = self.nats, self.leases
        if nats is None or leases is None:
            return None
        while not nats.reachable and time.monotonic() < self._startup_until:  # noqa: ASYNC110 — once, at the start
            await asyncio.sleep(_POLL_SECONDS)
        return await leases.request(self.account(limit), amount)

    def used(self, account: Account) -> int:
        """Return what this pod has spent and holds of an account; of a past window, as it was at its end."""
        count = self._ledger.balances.counts.get(account.key)
        if count is not None and count.index == account.index:
            return sum(self._ledger.balances.spent_and_held(account.key, account.resource))
        index, used = self._closed_windows.get(account.key, (account.index, 0))
        return used if index == account.index else 0

    @property
    def error(self) -> str:
        """Why shared limits cannot be counted; empty while they can, or if none is shared."""
        if self.nats is None or self.nats.reachable:
            self._unreachable_since = None
            return ""
        now = time.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
        if now - self._unreachable_since < _GRACE_SECONDS:
            return ""
        return "NATS, which counts shared limits, does not answer; only what this pod has already drawn can be spent"

    @property
    def is_reachable(self) -> bool:
        """Whether NATS answers, or is not needed."""
        return self.nats is None or self.nats.reachable

    async def close(self) -> None:
        """Give back what is not used."""
        if self.leases is not None:
            await _close(self.leases, self._task)
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _record(self, account: Account, drawn: int) -> None:
        self._remember_window(account)
        self._ledger.draw(account.key, account.index, drawn)

    def _remember_window(self, account: Account) -> None:
        """Remember what was used in the previous window, for `used`."""
        count = self._ledger.balances.counts.get(account.key)
        if count is not None and count.index < account.index:
            before = replace(account, index=count.index)
            self._closed_windows[account.key] = (before.index, self.used(before))


async def _close(leases: LeaseManager, task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await leases.close()
    except TimeoutError:
        _log.warning("shares not given back", seconds=_CLOSE_SECONDS)
