"""The pooled HTTP/1.1 client."""

import asyncio
import ssl
from math import inf

from agenttype_proxy import framing
from agenttype_proxy.errors import ConnectFailed, ConnectTimeout, UpstreamReset
from agenttype_proxy.messages import Deadlines, Origin, Request
from agenttype_proxy.pool import Pool
from agenttype_proxy.response import Response
from agenttype_proxy.upstream import ClientLimits, Connection

__all__ = ["Client", "ClientLimits"]

_SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Client:
    """Sends requests over pooled keep-alive connections, plain or TLS; one per process and event loop.

    A connection is reused only if the kernel shows that its peer neither closed it nor sent anything unrequested. If
    the peer closes right after that check, before the first byte of an answer, a request with a safe method is sent
    once more on a new connection. Other requests may have been processed and are not repeated.
    """

    def __init__(self, limits: ClientLimits | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Open nothing yet; ``tls`` replaces the default context, which verifies names and certificates."""
        self._limits = limits or ClientLimits()
        self._tls = tls
        self._pools: dict[Origin, Pool] = {}
        self._closed = False

    async def send(self, origin: Origin, request: Request, deadlines: Deadlines) -> Response:
        """Send ``request`` and return once the response head has arrived.

        The target is sent unchanged; ``origin.target`` puts a path below the origin's base.

        Raises:
            UpstreamError: See its subclasses; ``dispatched`` says whether the upstream may have begun to work.
        """
        message = framing.request_head(origin, request), request.body
        if self._closed:
            raise ConnectFailed("the client is closed")
        total_due = inf
        if deadlines.total is not None:
            total_due = asyncio.get_running_loop().time() + deadlines.total
        pool = self._pools.get(origin) or self._pools.setdefault(origin, Pool(self._limits.connections))
        connection = pool.take()
        if connection is not None:
            response = connection.begin(request.method, message, deadlines.idle, total_due)
            await response.next_arrival(deadlines.first_byte)
            try:
                return response.begun()
            except UpstreamReset:
                if connection.heard or request.method not in _SAFE:
                    raise
        connection = await self._connect(pool, origin, deadlines)
        response = connection.begin(request.method, message, deadlines.idle, total_due)
        await response.next_arrival(deadlines.first_byte)
        return response.begun()

    async def close(self) -> None:
        """Close every connection, running exchanges included, and wait until they are gone."""
        self._closed = True
        for pool in self._pools.values():
            for connection in tuple(pool.connections):
                connection.close()
        for pool in self._pools.values():
            await pool.empty.wait()

    async def _connect(self, pool: Pool, origin: Origin, deadlines: Deadlines) -> Connection:
        seconds = deadlines.connect if deadlines.total is None else min(deadlines.connect, deadlines.total)
        try:
            async with asyncio.timeout(seconds):
                return await pool.admit() or await self._open(pool, origin)
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection to {origin.authority} in time") from error
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"no connection to {origin.authority}") from error

    async def _open(self, pool: Pool, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: Connection(pool, self._limits, loop),
                origin.host,
                origin.port,
                ssl=self._tls_context() if origin.scheme == "https" else None,
            )
        except BaseException:
            pool.release()
            raise
        if self._closed:  # while it was opening
            connection.close()
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
