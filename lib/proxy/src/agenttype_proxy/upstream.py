"""One connection to an upstream: one exchange at a time, and nothing carried over to the next."""

import asyncio
import enum
import select
from dataclasses import dataclass
from math import inf
from typing import NoReturn, Protocol, cast

import httptools

from agenttype_proxy.errors import (
    FirstByteTimeout,
    IdleTimeout,
    InvalidResponse,
    ResponseTooLarge,
    TotalTimeout,
    UpstreamError,
    UpstreamReset,
)
from agenttype_proxy.framing import BodyEnd, body_end
from agenttype_proxy.messages import Headers
from agenttype_proxy.response import Response
from agenttype_proxy.watchdog import Watchdog

_INTERIM_RESPONSES = 16  # 1xx in a row before the response counts as invalid


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What one client keeps and accepts.

    Attributes:
        connections: At most so many per origin; further calls wait within their connect deadline.
        idle_seconds: How long an unused connection is kept. Less than the 5 s after which uvicorn, and so vLLM, closes:
            we close first, so that no request races with their closing.
        head_bytes: Response head or trailers, in all.
        head_fields: Fields in a response head.
        buffer_bytes: Body bytes that wait for a slow reader before we stop reading.
    """

    connections: int = 512
    idle_seconds: float = 4.0
    head_bytes: int = 65_536
    head_fields: int = 256
    buffer_bytes: int = 65_536


class ConnectionOwner(Protocol):
    """Lends connections out."""

    def opened(self, connection: "Connection") -> None:
        """A connection exists."""

    def ended(self, connection: "Connection", *, reusable: bool) -> None:
        """An exchange is over; the connection is idle if ``reusable``, otherwise closing."""

    def lost(self, connection: "Connection") -> None:
        """A connection is gone."""


class _Phase(enum.IntEnum):
    IDLE = 0
    HEAD = 1
    BODY = 2
    DONE = 3


# Used many times per call, and looking up a member of an enumeration is slow.
_IDLE, _HEAD, _BODY, _DONE = _Phase


class Connection(asyncio.Protocol):
    """The protocol of one upstream connection.

    Every exchange gets a new parser (0.7 us), so nothing of one response can affect the next. Bytes beyond a response,
    or without a request, close the connection before another exchange could get them.
    """

    __slots__ = (
        "_end", "_fields", "_head_bytes", "_interim", "_keep_alive", "_limits", "_loop", "_method", "_owner",
        "_parser", "_paused", "_phase", "_poll", "_problem", "_response", "_total_due", "_transport", "_unparsed",
        "_watchdog", "heard",
    )  # fmt: skip

    _transport: asyncio.Transport
    _parser: httptools.HttpResponseParser
    _fields: Headers
    _poll: select.poll

    def __init__(self, owner: ConnectionOwner, limits: ClientLimits, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self._limits = limits
        self._loop = loop
        self._watchdog = Watchdog(loop, self._expired)
        self._phase = _IDLE
        self._response: Response | None = None
        self._paused = False
        self.heard = False

    # Called by the client.

    def usable(self) -> bool:
        """Return whether the peer has neither closed nor sent anything since the last exchange.

        Asks the kernel, because the loop may not have delivered yet what has already arrived.
        """
        return self._phase is _IDLE and not self._transport.is_closing() and not self._poll.poll(0)

    def begin(self, method: bytes, message: tuple[bytes, bytes], idle: float, total_due: float) -> Response:
        """Write a request and return the response that its answer will feed."""
        self._method = method
        self._total_due = total_due
        self._parser = httptools.HttpResponseParser(self)
        self._phase = _HEAD
        self._problem: UpstreamError | None = None
        self._fields = []
        self._head_bytes = self._unparsed = self._interim = 0
        self.heard = False
        response = self._response = Response(self, idle)
        head, body = message
        if body:
            self._transport.writelines(message)
        else:
            self._transport.write(head)
        return response

    def close(self) -> None:
        """Close at once; a running exchange fails."""
        if self._response is not None:
            self._fail(UpstreamReset("the client was closed"))
        self._transport.abort()

    # Called by a response.

    def future(self) -> "asyncio.Future[None]":
        """See ``UpstreamConnection``."""
        return self._loop.create_future()

    def expect(self, seconds: float) -> None:
        """See ``UpstreamConnection``."""
        self._watchdog.watch(min(self._loop.time() + seconds, self._total_due))

    def resume(self) -> None:
        """See ``UpstreamConnection``."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def abandon(self) -> None:
        """See ``UpstreamConnection``."""
        self._release(reusable=False)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start idle."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's are not instances of it
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        """Parse what belongs to the running exchange; abort the connection on anything else."""
        response = self._response
        if response is None:
            self._transport.abort()
            return
        if not self.heard and not data.startswith(b"H"):  # the parser would accept RTSP and ICE too
            self._fail(InvalidResponse("the upstream's bytes are no HTTP/1.1 response"))
            return
        self.heard = True
        self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._phase is not _DONE:
                problem = self._problem or InvalidResponse("the upstream's bytes are no HTTP/1.1 response")
                problem.__cause__ = error
                self._fail(problem)
                return
            self._keep_alive = False  # complete, but more bytes arrived than belong to it
        if self._phase is _DONE:
            self._finish()
        elif self._unparsed > self._limits.head_bytes:
            self._fail(ResponseTooLarge("the response's framing is larger than its limit"))
        else:
            if response.waiting > self._limits.buffer_bytes and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            if self._phase is _BODY:
                response.wake()

    def eof_received(self) -> None:
        """Take the end of the connection as the end of a body that has no other."""
        if self._phase is _BODY and self._end is BodyEnd.CLOSE:
            self._keep_alive = False
            self._phase = _DONE
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what was running."""
        if self._response is not None:
            error = UpstreamReset("the upstream closed the connection before its response was whole")
            error.__cause__ = exc
            self._fail(error)
        self._watchdog.stop()
        self._owner.lost(self)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Refuse a second response."""
        if self._phase is not _HEAD:
            raise InvalidResponse("a response without a request")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect the head; count trailers and drop them."""
        self._unparsed = 0
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > self._limits.head_bytes or len(self._fields) > self._limits.head_fields:
            self._stop(ResponseTooLarge("the response head is larger than its limit"))
        if self._phase is _HEAD:
            self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Skip interim responses; decide how the body of the final one ends."""
        parser = self._parser
        status = parser.get_status_code()
        version = parser.get_http_version()
        if version not in ("1.1", "1.0") or not 100 <= status <= 599:  # noqa: PLR2004 — the valid range
            self._stop(InvalidResponse("the response has another HTTP version, or an unknown status"))
        if version == "1.0" and any(name == b"transfer-encoding" for name, _ in self._fields):
            self._stop(InvalidResponse("the response has a transfer encoding, which HTTP/1.0 does not have"))
        if status < 200:  # noqa: PLR2004 — the class of interim responses
            self._skip_interim(status)
            return
        try:
            self._end = body_end(self._method, status, self._fields)
        except InvalidResponse as error:
            self._stop(error)
        self._keep_alive = parser.should_keep_alive() and self._end is not BodyEnd.CLOSE
        self._phase = _DONE if self._end is BodyEnd.HEAD else _BODY
        self._head_bytes = 0
        response = self._response
        if response is not None:
            response.status = status
            response.headers = self._fields

    def on_body(self, data: bytes) -> None:
        """Pass body bytes on."""
        self._unparsed = 0
        if self._phase is not _BODY or self._response is None:
            raise InvalidResponse("body bytes where there must be none")
        self._response.feed(data)

    def on_message_complete(self) -> None:
        """Finish, unless this was an interim response."""
        if self._phase is _BODY:
            self._phase = _DONE

    def _skip_interim(self, status: int) -> None:
        self._interim += 1
        switching = 101
        if status == switching or self._interim > _INTERIM_RESPONSES:
            self._stop(InvalidResponse("the upstream switches protocols, or sends only interim responses"))
        if any(name in (b"content-length", b"transfer-encoding") for name, _ in self._fields):
            self._stop(InvalidResponse("an interim response announces a body"))
        self._fields = []

    def _stop(self, problem: UpstreamError) -> NoReturn:
        # The parser turns an exception of a callback into its own error, so keep ours here.
        self._problem = problem
        raise problem

    # Ending an exchange.

    def _finish(self) -> None:
        response = self._response
        # An answer that arrived before its request was fully sent leaves request bytes in the buffer.
        sent = self._transport.get_write_buffer_size() == 0
        self._release(reusable=self._keep_alive and sent and not self._transport.is_closing())
        if response is not None:
            response.end()

    def _fail(self, error: UpstreamError) -> None:
        response = self._response
        self._release(reusable=False)
        if response is not None:
            response.fail(error)

    def _release(self, *, reusable: bool) -> None:
        self._response = None
        if reusable:
            self._phase = _IDLE
            self._total_due = inf
            self.resume()
            self._watchdog.watch(self._loop.time() + self._limits.idle_seconds)
        else:
            self._phase = _DONE
            self._watchdog.stop()
            self._transport.abort()
        self._owner.ended(self, reusable=reusable)

    def _expired(self) -> None:
        if self._response is None:
            self._transport.abort()  # idle for long enough
        elif self._loop.time() + 0.001 >= self._total_due:
            self._fail(TotalTimeout("the call has used up its time"))
        elif self._phase is _HEAD:
            self._fail(FirstByteTimeout("no response head in time"))
        else:
            self._fail(IdleTimeout("the response stopped arriving"))
