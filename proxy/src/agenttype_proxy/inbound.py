"""One caller's connection: strict about what it reads, patient only as long as it must be."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import NoReturn, cast
from urllib.parse import unquote

import httptools

from agenttype_proxy.asgi import ASGIApp, Scope
from agenttype_proxy.errors import CallerGone
from agenttype_proxy.exchange import Exchange
from agenttype_proxy.messages import Headers
from agenttype_proxy.request_head import acceptable
from agenttype_proxy.watchdog import Watchdog

_log = logging.getLogger("agenttype.proxy")
_REFUSALS = {
    400: b"400 Bad Request",
    408: b"408 Request Timeout",
    431: b"431 Request Header Fields Too Large",
    503: b"503 Service Unavailable\r\nretry-after: 1",
}
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for 0 s: close() sends RST
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a listener accepts of its callers.

    Attributes:
        connections: Answered at once; up to twice as many are told 503, beyond that they are closed unheard.
        head_bytes: Request line and header fields, in all; trailers likewise.
        head_fields: Header fields in a request.
        head_seconds: From the first byte (or the connection's begin) to the whole head.
        idle_seconds: How long a connection may rest between two requests.
        stall_seconds: How long a caller may leave written bytes unread.
        linger_seconds: How long a refused caller may go on sending before it is cut.
        pipelined: Requests that may wait behind the one being answered.
        buffer_bytes: Body bytes that wait for the app before we stop reading.
    """

    connections: int = 512
    head_bytes: int = 65_536
    head_fields: int = 128
    head_seconds: float = 5.0
    idle_seconds: float = 60.0
    stall_seconds: float = 60.0
    linger_seconds: float = 2.0
    pipelined: int = 16
    buffer_bytes: int = 65_536


@dataclass(slots=True)
class Site:
    """What the connections of one listener share."""

    app: ASGIApp
    limits: ServerLimits
    connections: "set[Inbound]" = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _watchers: list[asyncio.Future[None]] = field(default_factory=list)

    async def quiet(self) -> None:
        """Wait until no connection and no running app is left."""
        while self.connections or self.tasks:
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher

    def joined(self, connection: "Inbound") -> None:
        """Count a connection."""
        self.connections.add(connection)

    def left(self, connection: "Inbound") -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self._tell()

    def started(self, task: asyncio.Task[None]) -> None:
        """Count a running app."""
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._tell()

    def _tell(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)


class _Refused(Exception):  # noqa: N818 — a verdict on the caller's bytes
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Inbound(asyncio.Protocol):
    """The protocol of one caller's connection.

    Requests are answered in the order they came. A refusal takes its place in that order too: what was asked
    properly before is answered first, and after a refusal nothing more is read as a request.
    """

    __slots__ = (
        "_closing", "_fields", "_free", "_head_bytes", "_in_head", "_live", "_loop", "_name", "_out", "_parser",
        "_peer", "_queue", "_reading", "_receiving", "_refusal", "_replaying", "_silent", "_site", "_target",
        "_transport", "_upgrade", "_verdict", "_watchdog", "congested",
    )  # fmt: skip

    _transport: asyncio.Transport
    _peer: tuple[str, int]
    _name: tuple[str, int]
    _target: bytes
    _fields: Headers

    def __init__(self, site: Site, loop: asyncio.AbstractEventLoop) -> None:
        self._site = site
        self._loop = loop
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._watchdog = Watchdog(loop, self._expired)
        self._queue: deque[Exchange] = deque()
        self._live: Exchange | None = None  # being answered
        self._receiving: Exchange | None = None  # whose body is arriving
        self._refusal = 0  # the status that ends this connection once its turn has come
        self._verdict = 0  # why a callback stopped the parser
        self._in_head = False
        self._upgrade = False
        self._replaying = False
        self._closing = False
        self._reading = True
        self._head_bytes = self._silent = 0
        self._out: list[bytes] = []
        self._free: asyncio.Event | None = None
        self.congested = False

    # What the server does with it.

    def drain(self) -> None:
        """Take no further request; close once the running one is answered."""
        self._parser = None
        self._queue.clear()
        if self._live is None:
            self._close()
        else:
            self._live.keep_alive = False

    def kill(self) -> None:
        """End the connection at once, visibly unfinished."""
        self._abort()

    # What an exchange asks of it.

    def write(self, data: bytes) -> None:
        """See ``Line``; what is written in one turn of the loop goes out in one system call."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    async def relieved(self) -> None:
        """See ``Line``."""
        while self.congested:
            if self._free is None:
                self._free = asyncio.Event()
            self._free.clear()
            await self._free.wait()

    def taken(self) -> None:
        """See ``Line``."""
        self._regulate()

    def finished(self, exchange: Exchange) -> None:
        """See ``Line``."""
        self._live = None
        if exchange.keep_alive:
            self._next()
        elif exchange.received:
            self._close()
        else:
            self._linger()

    def cut(self, *, at_once: bool) -> None:
        """See ``Line``."""
        self._live = None
        if at_once:
            self._abort()
        else:
            self._close()

    # What the loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Await a first request, if there is room."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        self._peer = transport.get_extra_info("peername")
        self._name = transport.get_extra_info("sockname")
        site = self._site
        site.joined(self)
        if len(site.connections) > site.limits.connections:
            self._verdict = 503
            if len(site.connections) > 2 * site.limits.connections:
                transport.abort()
        self._watch(self._site.limits.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Parse; refuse what is not HTTP/1.1, too large, or neither."""
        parser = self._parser
        if parser is None:
            return  # refused, draining or closing: what still comes is dropped
        self._silent += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_in_http(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            self._refuse(self._verdict or 400)
            return
        if self._silent > self._site.limits.head_bytes:
            self._refuse(431)
            return
        if self._receiving is not None:
            self._receiving.wake()
        self._regulate()

    def eof_received(self) -> None:
        """Let the transport close: a caller that has closed its half is taken as gone."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — the protocol's signature
        """Tell the exchanges that their caller is gone."""
        self._site.left(self)
        self._watchdog.stop()
        self._parser = None
        self.resume_writing()
        if self._live is not None:
            self._live.lose()
        self._queue.clear()

    def pause_writing(self) -> None:
        """Hold the app back, for a while."""
        self.congested = True
        self._watch(self._site.limits.stall_seconds)

    def resume_writing(self) -> None:
        """Let the app go on."""
        self.congested = False
        if self._free is not None:
            self._free.set()
        if self._live is not None and not self._closing:
            self._watchdog.watch(inf)

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Start a head."""
        if self._replaying:
            return
        self._in_head = True
        self._target = b""
        self._fields = []
        self._head_bytes = 0
        if self._live is None:
            self._watch(self._site.limits.head_seconds)

    def on_url(self, part: bytes) -> None:
        """Collect the target."""
        if self._replaying:
            return
        self._target += part
        self._weigh(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field; count trailers and drop them."""
        if self._replaying:
            return
        self._weigh(len(name) + len(value) + 4)
        if self._in_head:
            self._fields.append((name.lower(), value))
            if len(self._fields) > self._site.limits.head_fields:
                self._stop(431)

    def on_headers_complete(self) -> None:
        """Check the head and begin an exchange."""
        parser = self._parser
        if self._replaying or parser is None:
            return
        self._in_head = False
        self._head_bytes = 0
        if self._verdict:
            self._stop(self._verdict)
        method, version = parser.get_method(), parser.get_http_version()
        if not acceptable(method, self._target, version, self._fields):
            self._stop(400)
        self._upgrade = parser.should_upgrade()
        keep_alive = version == "1.1" and parser.should_keep_alive()
        exchange = Exchange(self, self._scope(method, version), keep_alive=keep_alive)
        self._receiving = exchange
        if self._live is None:
            self._start(exchange)
        elif len(self._queue) < self._site.limits.pipelined:
            self._queue.append(exchange)
        else:
            self._stop(400)

    def on_body(self, data: bytes) -> None:
        """Pass body bytes on."""
        self._silent = 0
        if self._receiving is not None:
            self._receiving.feed(data)

    def on_message_complete(self) -> None:
        """End the body, unless the parser only gave up on it for an upgrade that we ignore."""
        self._silent = 0
        if self._upgrade:
            return
        if self._receiving is not None:
            self._receiving.end()
            self._receiving.wake()
            self._receiving = None

    # How a request is read.

    def _scope(self, method: bytes, version: str) -> Scope:
        raw_path, _, query = self._target.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": method.decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._fields,
            "client": self._peer,
            "server": self._name,
        }

    def _weigh(self, size: int) -> None:
        self._silent = 0
        self._head_bytes += size
        if self._head_bytes > self._site.limits.head_bytes:
            self._stop(431)

    def _stop(self, status: int) -> NoReturn:
        # The parser turns what a callback raises into an error of its own, so keep the verdict beside it.
        self._verdict = status
        raise _Refused(status)

    def _go_on_in_http(self, rest: bytes) -> None:
        # To the parser, whatever follows the head of an upgrade request is another protocol. We ignore upgrades,
        # and some clients (the JDK's) offer h2c on ordinary requests with a body: so let a fresh parser read on
        # from a head that says no more than how the body is framed.
        self._upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        framing = b"".join(b"%b: %b\r\n" % pair for pair in self._fields if pair[0] in _FRAMING)
        self._replaying = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
        self._replaying = False
        if rest:
            self.data_received(rest)

    def _regulate(self) -> None:
        # Read on while the app keeps up. With nothing to wait for we go on reading too: it is how we learn that
        # the caller has gone.
        receiving = self._receiving
        behind = receiving is not None and receiving.waiting > self._site.limits.buffer_bytes
        if behind == self._reading and not self._closing:
            self._reading = not behind
            if behind:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    # How a connection goes on, and ends.

    def _start(self, exchange: Exchange) -> None:
        self._live = exchange
        self._watchdog.watch(inf)
        self._site.started(self._loop.create_task(self._run(exchange)))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._site.app(exchange.scope, exchange, exchange.send)
            if not exchange.complete and not exchange.disconnected:
                _log.error("app returned without completing its response")
        except CallerGone:
            pass  # there is nobody to tell
        except Exception:  # noqa: BLE001 — an app may raise anything; its caller gets an answer, the log the reason
            _log.exception("app failed")
        finally:
            exchange.fail()

    def _next(self) -> None:
        if self._queue:
            self._start(self._queue.popleft())
        elif self._refusal:
            self._answer_refusal()
        else:
            limits = self._site.limits
            self._watch(limits.head_seconds if self._in_head else limits.idle_seconds)

    def _refuse(self, status: int) -> None:
        self._parser = None
        self._refusal = status
        broken, self._receiving = self._receiving, None
        if broken is None and self._live is not None:
            return  # its turn comes
        if broken is not None and broken is not self._live:
            self._queue.remove(broken)
            return
        if broken is not None:
            self._live = None
            broken.lose()
            if broken.started:
                self._linger()
                return
        self._answer_refusal()

    def _answer_refusal(self) -> None:
        line = _REFUSALS[self._refusal]
        self.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % line)
        self._linger()

    def _linger(self) -> None:
        # Closing while the caller still sends makes the kernel answer with a reset, which can overtake our
        # response on its way. So close our half, and hear the caller out for a moment.
        self._parser = None
        self._closing = True
        if self._transport.is_closing():
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        self._flush()
        self._transport.write_eof()
        self._watch(self._site.limits.linger_seconds)

    def _close(self) -> None:
        self._parser = None
        self._closing = True
        self._flush()
        self._transport.close()
        self._watch(self._site.limits.stall_seconds)  # the transport may wait for a caller that does not read

    def _abort(self) -> None:
        transport = self._transport
        if not transport.is_closing():
            sock = transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and not self._transport.is_closing():
            self._transport.writelines(out)

    def _watch(self, seconds: float) -> None:
        self._watchdog.watch(self._loop.time() + seconds)

    def _expired(self) -> None:
        if self._closing or self._live is not None:
            self._abort()  # the caller neither reads nor leaves
        elif self._in_head:
            self._refuse(408)
        else:
            self._close()
