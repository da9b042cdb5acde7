"""A pod's leases with a book that only counts: what it spent, and what it had drawn, as a ledger would keep it.

async with a_pod(nats.url, "one") as pod:
    assert await pod.spend(account, 5) is Outcome.GRANTED
"""

import asyncio
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager
from typing import Self

from agenttype_api.policy import Identity, Nats
from agenttype_api.v1alpha1 import Resource, Window
from agenttype_sidecar.leases.lease_types import LeaseResult, Outcome, Times
from agenttype_sidecar.leases.manager import LeaseManager
from agenttype_sidecar.leases.nats_store import NatsStore
from agenttype_sidecar.leases.shares import Account, Addition

#: Short enough for tests; the parts stand as in a real one.
QUICK = Times(lease=1.5, idle=0.3, tick=0.05, ahead=0.5, stock=1.0, fresh=0.05, settle=0.3)


def an_account(maximum: int, index: int = 7, name: str = "day") -> Account:
    return Account(f"team-a.agent.green.{name}.tokens.day", Resource.TOKENS, Window.DAY, index, maximum)


class Book:
    """What outlives a process."""

    def __init__(self) -> None:
        self.spent: Counter[tuple[str, int]] = Counter()
        self.drawn: dict[tuple[str, int], int] = {}


class Pod(AbstractAsyncContextManager):
    def __init__(self, url: str, name: str, book: Book | None = None, times: Times = QUICK) -> None:
        self.book = book or Book()
        self.store = NatsStore(Nats(url=url), None, Identity(namespace="team-a", name="green", uid="1"))
        self.leases = LeaseManager(self.store, name, self.used, self.note, time.monotonic, times=times)
        self.leases.restore(self.book.drawn)
        self._task: asyncio.Task | None = None

    def used(self, account: Account) -> int:
        return self.book.spent[account.key, account.index]

    def note(self, account: Account, drawn: int) -> None:
        self.book.drawn[account.key, account.index] = drawn

    async def spend(self, account: Account, amount: int) -> Outcome:
        return (await self.ask(account, amount)).outcome

    async def ask(self, account: Account, amount: int) -> LeaseResult:
        """Spend so much if there is room for it or room can be made."""
        while self.leases.room(account) < amount:
            request = await self.leases.request(account, amount)
            if request.outcome is not Outcome.GRANTED:
                return request
        self.book.spent[account.key, account.index] += amount
        return LeaseResult(Outcome.GRANTED)

    async def insist(self, account: Account, amount: int) -> Outcome:
        """Ask for as long as others may give something back."""
        while True:
            request = await self.ask(account, amount)
            if request.outcome is not Outcome.EXHAUSTED or request.leased_elsewhere + request.remaining < amount:
                return request.outcome
            await asyncio.sleep(0.02)

    async def spend_all(self, account: Account, amount: int) -> int:
        """Spend so much at a time until nothing is left for anybody; return how much it was."""
        spent = 0
        while (outcome := await self.insist(account, amount)) is not Outcome.EXHAUSTED:
            if outcome is Outcome.GRANTED:
                spent += amount
            else:
                await asyncio.sleep(0.02)
        return spent

    async def leases_only(self, account: Account, leased: int, drawn: int) -> None:
        """Take a lease, and then fall silent."""
        self.store.open()
        own = self.leases._state(account).lease
        await own.attach("a life")
        await own.lease_more(Addition("a take", leased), drawn, 0)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.leases.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.leases.close()

    async def stop(self) -> None:
        """No more signs of life."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def die(self) -> None:
        """End as a process does that is killed: nothing is given back."""
        if self._task is not None:
            await self.stop()
        for state in self.leases._states.values():
            if state.task is not None:
                state.task.cancel()
                await asyncio.gather(state.task, return_exceptions=True)
        await self.store.close()


a_pod = Pod


class pods(AbstractAsyncContextManager):  # noqa: N801 — used like a function
    """So many pods at one store."""

    def __init__(self, url: str, amount: int) -> None:
        self._pods = [Pod(url, f"pod-{number}") for number in range(amount)]

    async def __aenter__(self) -> list[Pod]:
        for pod in self._pods:
            await pod.__aenter__()
        return self._pods

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*(pod.__aexit__(*error) for pod in self._pods))
