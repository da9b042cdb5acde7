"""Looks at an account in the store, as an onlooker that leases nothing."""

import asyncio
from typing import NamedTuple

from agenttype_api.policy import Identity, Limit, Nats
from agenttype_sidecar.leases import shares
from agenttype_sidecar.leases.nats_store import NatsStore
from agenttype_sidecar.leases.shares import Record, Returns

from support.waiting import until


class Sight(NamedTuple):
    """What is out of an account, and the records of its holders."""

    out: int
    records: dict[str, Record]

    @property
    def stranded(self) -> dict[str, int]:
        """What holders have and have not drawn."""
        return {name: record.leased - record.drawn for name, record in self.records.items()}


def look(url: str, limit: Limit, index: int = 0) -> Sight:
    """Look once."""
    return asyncio.run(_looked(url, limit, index))


def until_ended(url: str, limit: Limit, holders: set[str]) -> None:
    """Wait until nothing that was leased and not drawn is left in these holders' records."""

    def stranded() -> dict[str, int]:
        return {name: left for name, left in look(url, limit).stranded.items() if left and name in holders}

    until(lambda: not stranded(), lambda: f"leases of dead holders come back: {stranded()}")


async def _looked(url: str, limit: Limit, index: int) -> Sight:
    store = _store(url)
    try:
        return await _sight(store, limit, index)
    finally:
        await store.close()


async def _sight(store: NatsStore, limit: Limit, index: int) -> Sight:
    account = shares.account(limit, index)
    seen = await store.look(account, 0)
    out = seen.sums.counter - Returns.from_json(seen.sums.returns.text).total
    return Sight(out, {name: Record.from_json(entry.text) for name, entry in seen.records.items()})


def _store(url: str) -> NatsStore:
    store = NatsStore(Nats(url=url), None, Identity(namespace="team-a", name="green", uid="1"))
    store.open()
    return store
