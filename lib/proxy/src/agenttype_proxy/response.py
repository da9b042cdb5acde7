"""The reader's side of an exchange with an upstream."""

import asyncio
from collections.abc import AsyncIterator
from math import inf
from typing import Protocol, Self

from agenttype_proxy.errors import ResponseTooLarge, UpstreamError, UpstreamReset
from agenttype_proxy.messages import Headers

_PIECE = 32_768  # at most this much is given out at once, because a hostile upstream can make every byte expensive


class UpstreamConnection(Protocol):
    """What a response asks of the connection that feeds it."""

    def future(self) -> "asyncio.Future[None]":
        """Return a new future of the connection's loop."""

    def expect(self, seconds: float) -> None:
        """Fail the exchange unless bytes arrive within ``seconds``; with ``inf`` only the total deadline applies."""

    def resume(self) -> None:
        """Read on, after the reader has taken the waiting bytes."""

    def abandon(self) -> None:
        """Close the connection at once; this exchange is no longer read."""


class Response:
    """A response whose head has arrived and whose body is arriving.

    Read it within ``async with``: leaving the block before the body's end closes the connection, reading to the
    end gives it back to the pool. Cancelling a task that waits here closes it too.

    Attributes:
        status: 200 to 999.
        headers: All of them, in wire order, names in lower case; ``headers.forwardable`` selects what may go on.
    """

    __slots__ = ("_chunks", "_error", "_has_more", "_idle", "_size", "_waiter", "_whole", "_wire", "headers", "status")

    headers: Headers

    def __init__(self, wire: UpstreamConnection, idle: float) -> None:
        self.status = 0
        self.headers = []
        self._wire: UpstreamConnection | None = wire
        self._idle = idle
        self._chunks: list[bytes] = []
        self._size = 0
        self._has_more = False  # more has arrived than was given out
        self._whole = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None

    # The reader's side.

    def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives, without its chunk framing; never yields an empty chunk.

        Raises:
            UpstreamError: While iterating, once everything that had arrived before the failure was given out.
        """
        return self

    async def read(self, limit: int) -> bytes:
        """Return the whole body, at most ``limit`` bytes.

        Raises:
            ResponseTooLarge: There is more; the connection is closed.
            UpstreamError: The body did not arrive whole.
        """
        if self._whole and self._size <= limit:  # the usual case: it arrived together with the head
            return self._take(limit)
        parts, size = [], 0
        while chunk := await self._next(limit + 1):
            size += len(chunk)
            if size > limit:
                self.abort()
                raise ResponseTooLarge(f"the response body is larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def abort(self) -> None:
        """Give the exchange up: the connection closes at once, unless the response was already complete."""
        if self._wire is not None:
            self._wire.abandon()
            self.fail(UpstreamReset("the response was given up by its reader"))
        self._chunks.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.abort()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._has_more:
            await asyncio.sleep(0)  # lets other tasks run between two pieces
        data = await self._next(_PIECE)
        if not data:
            raise StopAsyncIteration
        return data

    async def _next(self, most: int) -> bytes:
        """Return what has arrived, or wait for bytes; empty once the body is complete."""
        while not self._chunks and not self._whole and self._error is None:
            await self.next_arrival(self._idle)
        if self._chunks:
            return self._take(most)
        if self._error is not None:
            raise self._error
        return b""

    def begun(self) -> Self:
        """Return the response once its head has arrived, or raise the error that came first."""
        if not self.status and self._error is not None:
            raise self._error
        return self

    async def next_arrival(self, within: float) -> None:
        """Wait until a head, bytes, the end or a failure arrives."""
        wire = self._wire
        if wire is None:
            return
        waiter = self._waiter = wire.future()
        wire.expect(within)
        try:
            await waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None
        if self._wire is not None:
            self._wire.expect(inf)

    def _take(self, most: int) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._has_more = len(data) > most
        if self._has_more:
            chunks[:] = [data[most:]]
            self._size -= most
            return data[:most]
        chunks.clear()
        self._size = 0
        if self._wire is not None:
            self._wire.resume()
        return data

    # The connection's side.

    def feed(self, data: bytes) -> None:
        """Add body bytes."""
        self._chunks.append(data)
        self._size += len(data)

    @property
    def waiting(self) -> int:
        """How many body bytes the reader has not taken yet."""
        return self._size

    def wake(self) -> None:
        """Wake the reader: called once per arrival, not once per chunk."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self) -> None:
        """Mark the body as complete; the connection is no longer ours."""
        self._wire = None
        self._whole = True
        self.wake()

    def fail(self, error: UpstreamError) -> None:
        """Mark the exchange as failed; the connection is no longer ours."""
        self._wire = None
        self._error = error
        self.wake()
