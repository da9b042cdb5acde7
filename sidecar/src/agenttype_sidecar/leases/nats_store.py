"""The store of shared limits, in NATS: counters and entries of accounts, as `agenttype_bus` keeps them.

The only module of this folder that knows NATS; it is imported when a limit is shared, for others must not pay for it.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agenttype_api.policy import Identity, Nats
from agenttype_bus import errors, streams, subjects
from agenttype_bus.connection import Connection, ConnectionSettings
from agenttype_bus.counters import Counters
from agenttype_bus.jetstream import JetStream
from agenttype_bus.key_value import KeyValue
from agenttype_bus.subjects import AccountSubjects

from agenttype_sidecar.leases.shares import (
    RETURNS,
    Account,
    AccountChanges,
    Addition,
    Conflict,
    Entry,
    StoreUnavailable,
    Sums,
)

#: Seconds after which an entry that fades is gone.
_FADES: Final = 3600


class NatsStore:
    """See `shares.Store`."""

    def __init__(self, at: Nats, token: Path | None, identity: Identity) -> None:
        """Prepare to connect.

        Args:
            at: where it is, and who vouches for it.
            token: a file that is read at every connect; None where the server wants none.
            identity: whose sidecar this is: the server lets it listen for answers to its own kind only.
        """
        self._connection = Connection(
            ConnectionSettings(
                url=at.url,
                client="agenttype-sidecar",
                inbox=subjects.inbox(identity.namespace, identity.name),
                authority=at.authority,
                token_file=token,
            )
        )
        self._jetstream = JetStream(self._connection)

    @property
    def failures(self) -> Counter[str]:
        """How often each operation failed."""
        return self._connection.failures

    @property
    def connections(self) -> int:
        """See `shares.Store`."""
        return self._connection.connections

    @property
    def reachable(self) -> bool:
        """See `shares.Store`."""
        return self._connection.reachable

    def open(self) -> None:
        """See `shares.Store`."""
        self._connection.open()

    async def close(self) -> None:
        """See `shares.Store`."""
        await self._connection.close()

    async def add(self, account: Account, addition: Addition) -> int:
        """See `shares.Store`."""
        with _translated():
            return await self._counters(account).add(_subjects(account).counter, addition.amount, addition.operation)

    async def sums(self, account: Account) -> Sums:
        """See `shares.Store`."""
        with _translated():
            counter, returns = await asyncio.gather(
                self._counters(account).total(_subjects(account).counter), self.get(account, RETURNS)
            )
        return Sums(counter, returns)

    async def look(self, account: Account, since: int) -> AccountChanges:
        """See `shares.Store`."""
        sums = await self.sums(account)
        with _translated():
            changed = await self._entries(account).changed(_subjects(account).entry(subjects.ANY), since)
        found = {subject.rpartition(".")[2]: Entry(*entry) for subject, entry in changed.items()}
        since = max((entry.revision for entry in found.values()), default=since)
        found.pop(RETURNS, None)
        return AccountChanges(sums, found, since)

    async def get(self, account: Account, name: str) -> Entry:
        """See `shares.Store`."""
        with _translated():
            return Entry(*await self._entries(account).get(_subjects(account).entry(name)))

    async def put(self, account: Account, name: str, text: bytes, revision: int, *, fades: bool = False) -> int:
        """See `shares.Store`."""
        with _translated():
            key = _subjects(account).entry(name)
            return await self._entries(account).put(key, text, revision, _FADES if fades else None)

    def _counters(self, account: Account) -> Counters:
        return Counters(self._jetstream, streams.counters(account.window))

    def _entries(self, account: Account) -> KeyValue:
        return KeyValue(self._jetstream, streams.entries(account.window, _subjects(account).namespace))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what the bus raises into the errors of `shares.Store`."""
    try:
        yield
    except errors.WrongRevision as error:
        raise Conflict from error
    except errors.Unavailable as error:
        raise StoreUnavailable(str(error)) from error


def _subjects(account: Account) -> AccountSubjects:
    return AccountSubjects(account.key, account.window, account.index)
