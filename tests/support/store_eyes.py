"""Looks at an account in the store, as an onlooker that leases nothing."""

import asyncio
import time
from typing import NamedTuple

from agenttype_api.policy import Identity, Limit, Nats
from agenttype_sidecar.leases import shares
from agenttype_sidecar.leases.nats_store import NatsStore
from agenttype_sidecar.leases.shares import Record, Returns


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


def wait_until_ended(url: str, limit: Limit, holders: set[str], within: float = 30) -> None:
    """Wait until nothing that was leased and not drawn is left in these holders' records."""
    asyncio.run(_ended(url, limit, holders, within))


async def _looked(url: str, limit: Limit, index: int) -> Sight:
    store = _store(url)
    try:
        return await _sight(store, limit, index)
    finally:
        await store.close()


async def _ended(url: str, limit: Limit, holders: set[str], within: float) -> None:
    store, began = _store(url), time.monotonic()
    try:
        while (stranded := (await _sight(store, limit, 0)).stranded) and sum(stranded.get(name, 0) for name in holders):
            assert time.monotonic() - began < within, "leases of dead holders did not come back"
            await asyncio.sleep(0.05)
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
