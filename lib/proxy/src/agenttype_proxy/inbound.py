"""One caller's connection: its requests in order, its deadlines, and how it ends."""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from math import inf
from typing import cast
from urllib.parse import unquote

from agenttype_runtime.json_log import Log

from agenttype_proxy.asgi import Scope
from agenttype_proxy.errors import CallerGone
from agenttype_proxy.exchange import Exchange
from agenttype_proxy.listener import Listener
from agenttype_proxy.request_reader import Head, Refused, RequestReader
from agenttype_proxy.watchdog import Watchdog

_log = Log("proxy")
_REFUSALS = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable\r\nretry-after: 1",
}
_PIECE = 1024  # small enough to hold only a few heads
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: closing sends RST


class Inbound(asyncio.Protocol):
    """The protocol of one caller's connection.

    Requests are answered in the order they came. A refusal keeps its place in that order too: valid requests before it
    are answered first, and nothing after it is read as a request.
    """

    __slots__ = (
        "_closing", "_current", "_listener", "_loop", "_name", "_out", "_peer", "_queue", "_reader", "_reading",
        "_receiving", "_refusal", "_transport", "_unread", "_watchdog", "_writable", "congested",
    )  # fmt: skip

    _transport: asyncio.Transport
    _peer: tuple[str, int]
    _name: tuple[str, int]

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._reader: RequestReader | None = RequestReader(self, listener.limits)  # None: nothing more is read
        self._watchdog = Watchdog(loop, self._expired)
        self._queue: deque[tuple[Exchange, Scope]] = deque()
        self._current: Exchange | None = None  # being answered
        self._receiving: Exchange | None = None  # whose body is arriving
        self._refusal = 0  # the status that ends this connection when its turn comes
        self._unread = b""  # has arrived, and is read once fewer requests wait
        self._closing = False
        self._reading = True
        self._out: list[bytes] = []
        self._writable: asyncio.Event | None = None
        self.congested = False

    # Called by the server.

    def drain(self) -> None:
        """See ``ListenerConnection``."""
        if self._current is None:
            self._close()
        else:
            self._current.keep_alive = False

    def kill(self) -> None:
        """See ``ListenerConnection``."""
        self._abort()

    def regulate(self) -> None:
        """See ``ListenerConnection``."""
        self._regulate()

    # Called by an exchange.

    def future(self) -> "asyncio.Future[None]":
        """See ``CallerConnection``."""
        return self._loop.create_future()

    def write(self, data: bytes) -> None:
        """See ``CallerConnection``; what is written in one turn of the loop goes out in one system call."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    async def writable(self) -> None:
        """See ``CallerConnection``."""
        while self.congested:
            if self._writable is None:
                self._writable = asyncio.Event()
            self._writable.clear()
            await self._writable.wait()

    def body_taken(self) -> None:
        """See ``CallerConnection``."""
        self._regulate()

    def finished(self, exchange: Exchange) -> None:
        """See ``CallerConnection``."""
        self._current = None
        self._flush()  # before the app goes on after its answer
        if not exchange.received:
            self._linger()
        elif not exchange.keep_alive:
            self._close()
        elif self._queue:
            self._start(*self._queue.popleft())
            self._read_on()
        elif self._refusal:
            self._answer_refusal()
        elif self._unread:
            self._read_on()
            if self._current is None and self._reader is not None:
                self._watch(self._listener.limits.head_seconds)
        else:
            limits = self._listener.limits
            in_head = self._reader is not None and self._reader.in_head
            self._watch(limits.head_seconds if in_head else limits.idle_seconds)

    def cut(self, *, at_once: bool) -> None:
        """See ``CallerConnection``."""
        self._current = None
        if at_once:
            self._abort()
        else:
            self._close()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a first request, if there is room."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are not instances of it
        self._peer = _address(transport, "peername")
        self._name = _address(transport, "sockname")
        listener = self._listener
        listener.joined(self)
        if len(listener.connections) > listener.limits.connections:
            self._refusal = 503
            if len(listener.connections) > 2 * listener.limits.connections:
                transport.abort()
        self._watch(listener.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Read requests; discard the bytes of a refused caller."""
        if self._reader is not None:
            self._unread += data
            self._read_on()

    def eof_received(self) -> None:
        """Let the transport close: a caller that has closed its half counts as gone."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — the protocol's signature
        """Tell the running exchange that its caller is gone."""
        self._reader = None
        self._unread = b""
        self._closing = True
        self._watchdog.stop()
        for exchange, _ in self._queue:  # their apps never run
            self._listener.settled(exchange, gone=True)
        self._queue.clear()
        self.resume_writing()
        if self._current is not None:
            self._current.caller_left()
        self._listener.left(self)

    def pause_writing(self) -> None:
        """Make the app wait, for a limited time."""
        self.congested = True
        self._watch(self._listener.limits.stall_seconds)

    def resume_writing(self) -> None:
        """Let the app go on."""
        self.congested = False
        if self._writable is not None:
            self._writable.set()
        if self._current is not None:
            self._watchdog.watch(inf)

    # Called by the reader.

    def head_begun(self) -> None:
        """See ``RequestSink``."""
        if self._current is None:
            self._watch(self._listener.limits.head_seconds)

    def head_read(self, head: Head) -> int:
        """See ``RequestSink``."""
        if self._refusal:
            return self._refusal
        scope = self._scope(head)
        exchange = self._receiving = Exchange(self, scope, keep_alive=head.keep_alive)
        if self._current is None:
            self._start(exchange, scope)
        else:
            self._queue.append((exchange, scope))
        return 0

    def body_read(self, data: bytes) -> None:
        """See ``RequestSink``."""
        receiving = self._receiving
        if receiving is not None:
            receiving.feed(data)
            if receiving.size > self._listener.limits.buffer_bytes:
                self._listener.count_body(receiving, receiving.size)

    def request_read(self) -> None:
        """See ``RequestSink``."""
        if self._receiving is not None:
            self._receiving.end()
            self._receiving.wake()
            self._listener.settled(self._receiving, gone=False)
            self._receiving = None

    # Answering a request.

    def _scope(self, head: Head) -> Scope:
        raw_path, _, query = head.target.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method.decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": self._peer,
            "server": self._name,
        }

    def _start(self, exchange: Exchange, scope: Scope) -> None:
        self._current = exchange
        self._watchdog.watch(inf)
        self._listener.started(self._loop.create_task(self._run(exchange, scope)))

    async def _run(self, exchange: Exchange, scope: Scope) -> None:
        try:
            await self._listener.app(scope, exchange, exchange.send)
            if not exchange.complete and not exchange.disconnected:
                _log.error("app returned without completing its response")
        except CallerGone:
            pass  # the caller is gone
        except Exception:  # noqa: BLE001 — an app may raise any exception; the caller gets an answer, the log the reason
            _log.exception("app failed")
        finally:
            exchange.fail()
            self._listener.settled(exchange, gone=True)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.writelines(out)

    def _read_on(self) -> None:
        # Requests are answered in order, so only a few are read ahead. The parser reads all that it is given, so data
        # that may hold many heads is given to it in pieces.
        most = self._listener.limits.pipelined
        while self._unread and self._reader is not None and len(self._queue) < most:
            data = self._unread
            if len(data) > _PIECE and data.count(b"\r\n\r\n") > most:
                data = data[:_PIECE]
            self._unread = self._unread[len(data) :]
            try:
                self._reader.feed(data)
            except Refused as refused:
                self._unread = b""
                self._refuse(refused.status)
                return
        if self._receiving is not None:
            self._receiving.wake()
        self._regulate()

    def _regulate(self) -> None:
        # Read on while the app keeps up. Without a request we read too, to detect that the caller has gone.
        receiving = self._receiving
        most = self._listener.limits.buffer_bytes
        behind = bool(self._unread) or (
            receiving is not None
            and (receiving.waiting > most or (receiving.size > most and not self._listener.may_grow(receiving)))
        )
        if behind == self._reading and not self._closing:
            self._reading = not behind
            if behind:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # Ending the connection.

    def _refuse(self, status: int) -> None:
        self._reader = None
        self._refusal = status
        broken, self._receiving = self._receiving, None
        if broken is not None and broken is self._current:
            self._current = None
            broken.caller_left()
            if broken.started:
                self._linger()
                return
        if self._current is not None:  # the refusal comes after the request being answered and those that wait
            self._queue = deque(turn for turn in self._queue if turn[0] is not broken)
            if broken is not None:
                self._listener.settled(broken, gone=True)
            return
        self._answer_refusal()

    def _answer_refusal(self) -> None:
        self.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % _REFUSALS[self._refusal])
        self._linger()

    def _linger(self) -> None:
        # Closing while the caller still sends makes the kernel answer with a reset, which can arrive before our
        # response. So close our half, and read on for a short time.
        self._reader = None
        self._closing = True
        if self._transport.is_closing():
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        self._flush()
        self._transport.write_eof()
        self._watch(self._listener.limits.linger_seconds)

    def _close(self) -> None:
        self._reader = None
        self._closing = True
        self._flush()
        self._transport.close()
        self._watch(self._listener.limits.stall_seconds)  # it may wait for a slow caller

    def _abort(self) -> None:
        transport = self._transport
        if not transport.is_closing():
            sock = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def _watch(self, seconds: float) -> None:
        self._watchdog.watch(self._loop.time() + seconds)

    def _expired(self) -> None:
        if self._closing or self._current is not None:
            self._abort()  # the caller neither reads nor closes
        elif self._reader is not None and self._reader.in_head:
            self._refuse(408)
        else:
            self._close()


def _address(transport: asyncio.Transport, end: str) -> tuple[str, int]:
    try:
        address = transport.get_extra_info(end)
    except OSError:
        address = None
    return address[:2] if address else ("", 0)  # a caller that left at once no longer has an address
