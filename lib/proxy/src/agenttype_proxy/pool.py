"""The pooled connections to one origin."""

import asyncio
from collections import deque

from agenttype_proxy.upstream import Connection


class Pool:
    """Lends at most ``limit`` connections at once; the one used last is lent first.

    An idle connection was used before, and is lent before a new one is opened, so running and idle connections together
    never exceed the limit either.
    """

    __slots__ = ("_idle", "_limit", "_live", "_waiting", "connections", "empty")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._live = 0
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self.connections: set[Connection] = set()
        self.empty = asyncio.Event()
        self.empty.set()

    def take(self) -> Connection | None:
        """Take an idle connection that its peer has left untouched, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                self._live += 1
                return connection
            connection.close()
        return None

    async def admit(self) -> Connection | None:
        """Wait for the right to open a connection (None), or for one that another call has finished with.

        A caller that gets the right but fails to open a connection must call ``release``.
        """
        if self._live < self._limit:
            self._live += 1
            return None
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            connection = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # granted and cancelled in the same turn of the loop
                self._pass_on(waiter.result())
            raise
        if connection is not None and not connection.usable():
            connection.close()
            return None
        return connection

    def release(self) -> None:
        """Give the right to open a connection back."""
        self._pass_on(None)

    def opened(self, connection: Connection) -> None:
        """See ``ConnectionOwner``."""
        self.connections.add(connection)
        self.empty.clear()

    def ended(self, connection: Connection, *, reusable: bool) -> None:
        """See ``ConnectionOwner``."""
        self._pass_on(connection if reusable else None)

    def lost(self, connection: Connection) -> None:
        """See ``ConnectionOwner``."""
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if not self.connections:
            self.empty.set()

    def _pass_on(self, connection: Connection | None) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        self._live -= 1
        if connection is not None:
            self._idle.append(connection)
