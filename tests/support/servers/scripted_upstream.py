"""An upstream that plays a script of bytes: what a misbehaving server says, byte for byte and in its own time.

A script is what one connection does, step by step; the first connection plays the first script, and so on, and
the last script is played by every further connection. A connection whose script is over stays open until the
other side leaves.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TakeRequest:
    """Read one request: its head, and a body of its content-length."""


@dataclass(frozen=True)
class Say:
    """Send bytes, waiting while the other side is slow to read."""

    data: bytes


@dataclass(frozen=True)
class Wait:
    """Stay silent for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Await:
    """Stay silent until the test says so."""

    event: asyncio.Event


@dataclass(frozen=True)
class Close:
    """Close the connection in order (FIN)."""


@dataclass(frozen=True)
class Reset:
    """Close the connection with a reset (RST)."""


Step = TakeRequest | Say | Wait | Await | Close | Reset
_LINGER_NOT = struct.pack("ii", 1, 0)
#: Seconds: longer than a busy machine stalls, shorter than any deadline at which a client leaves on its own.
_SOON = 10


@dataclass
class ScriptedUpstream:
    """What a test sees of the upstream while it plays.

    Attributes:
        port: On 127.0.0.1.
        requests: Every request taken, head and body.
        connections: How many were opened.
        said: Bytes that the kernel has taken from us.
        departures: One entry whenever the other side has closed a connection, in order.
        news: Notified when a request has been taken.
    """

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    said: int = 0
    departures: "asyncio.Queue[None]" = field(default_factory=asyncio.Queue)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def asked(self, times: int) -> None:
        """Wait until so many requests have been taken."""
        async with self.news:
            await self.news.wait_for(lambda: len(self.requests) >= times)

    async def stuck(self) -> None:
        """Wait until the kernel takes no more of what we say."""
        before = -1
        while before != self.said:
            before = self.said
            await asyncio.sleep(0.1)

    async def departed(self) -> None:
        """Wait until the other side has closed a connection; fail when that takes longer than any stall."""
        async with asyncio.timeout(_SOON):
            await self.departures.get()


@contextlib.asynccontextmanager
async def scripted(*scripts: Sequence[Step], tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedUpstream]:
    """Play ``scripts`` on a free port of 127.0.0.1 for the length of the block."""
    upstream = ScriptedUpstream()
    running: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        script = scripts[min(upstream.connections, len(scripts) - 1)]
        upstream.connections += 1
        try:
            for step in script:
                await _play(step, reader, writer, upstream)
            while await reader.read(65_536):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has left in the middle of a step
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            upstream.departures.put_nowait(None)
            writer.transport.abort()
            running.discard(task)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _play(
    step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: ScriptedUpstream
) -> None:
    match step:
        case TakeRequest():
            upstream.requests.append(await _request(reader))
            async with upstream.news:
                upstream.news.notify_all()
        case Say(data):
            for begin in range(0, len(data), 65_536):
                part = data[begin : begin + 65_536]
                writer.write(part)
                await writer.drain()
                upstream.said += len(part)
        case Wait(seconds):
            await asyncio.sleep(seconds)
        case Await(event):
            await event.wait()
        case Close():
            writer.close()
            await writer.wait_closed()
        case Reset():
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head
