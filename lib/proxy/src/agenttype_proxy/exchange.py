"""One request and its response, as an ASGI app sees them."""

import asyncio
import http
from typing import Protocol

from agenttype_proxy.asgi import CUT, Message, Scope
from agenttype_proxy.headers import HOP_BY_HOP, get
from agenttype_proxy.messages import Headers

_REASONS = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_BODYLESS = frozenset({204, 304})
_OF_FRAMING = HOP_BY_HOP | {b"content-length"}
_LOWEST_FINAL = 200


class CallerConnection(Protocol):
    """What an exchange asks of the connection that carries it."""

    congested: bool
    """Whether the caller reads too slowly."""

    def future(self) -> "asyncio.Future[None]":
        """Return a new future of the connection's loop."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    async def writable(self) -> None:
        """Wait until the connection is not congested, or gone."""

    def body_taken(self) -> None:
        """Read on, after the app has taken the waiting part of the body."""

    def finished(self, exchange: "Exchange") -> None:
        """The response is complete."""

    def cut(self, *, at_once: bool) -> None:
        """End the connection: after what is buffered has been sent, or with a reset."""


class Exchange:
    """One request and its response; called, it is the app's ``receive``.

    It owns the response's framing: an app's ``Transfer-Encoding`` and similar fields are dropped, and a body that
    contradicts its ``Content-Length`` is an error of the app.
    """

    __slots__ = (
        "_body", "_body_taken", "_bodyless", "_changed", "_chunked", "_chunks", "_connection", "_continue", "_left",
        "_touched", "_watchers", "complete", "disconnected", "keep_alive", "received", "size", "started", "waiting",
    )  # fmt: skip

    def __init__(self, connection: CallerConnection, scope: Scope, *, keep_alive: bool) -> None:
        """Begin; add the extension to the scope by which an app can cut the connection."""
        # No reference to the scope is kept, because it refers to us: a cycle per request is work for the collector.
        self.keep_alive = keep_alive
        self.received = False  # the request is here to its last byte
        self.started = False
        self.complete = False
        self.disconnected = False
        self.size = 0  # body bytes that have arrived
        self.waiting = 0  # body bytes that the app has not taken yet
        self._connection = connection
        self._body: list[bytes] = []
        self._touched = False  # the app has taken body bytes
        self._body_taken = False  # the app has taken the last of them
        self._continue = (get(scope["headers"], b"expect") or b"").lower() == b"100-continue"
        self._bodyless = scope["method"] == "HEAD"
        self._chunks = scope["http_version"] == "1.1"  # whether the caller understands them
        self._chunked = False
        self._left: int | None = None
        self._changed: asyncio.Event | None = None
        self._watchers: list[asyncio.Future[None]] = []
        scope["extensions"] = {CUT: self.cut}

    # The app's side.

    async def __call__(self) -> Message:
        """Receive: body bytes as they arrive, then ``http.disconnect`` once the caller is gone or answered."""
        if self._continue and not self.received and not self.started and not self.disconnected:
            self._continue = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.disconnected and not self.complete:
            if (self._body or self.received) and not self._body_taken:
                return self._take_body()
            if self._changed is None:
                self._changed = asyncio.Event()
            self._changed.clear()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send: start, then body parts; does nothing once the caller is gone, as ASGI 2.3 says.

        Raises:
            RuntimeError: The app breaks ASGI's order, or its own ``Content-Length``.
        """
        if self._connection.congested:
            await self._connection.writable()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.started and kind == "http.response.start":
            self._start(message["status"], message.get("headers", ()))
        elif self.started and not self.complete and kind == "http.response.body":
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is out of order")

    def whole(self) -> bytes | None:
        """Take the whole body if all of it has arrived and none was taken yet; see ``asgi.read_body``."""
        if not self.received or self._body_taken or self._touched or self.disconnected:
            return None
        body: bytes = self._take_body()["body"]
        return body

    def gone(self) -> "asyncio.Future[None]":
        """Return a future that completes when the caller hangs up; see ``asgi.watch_disconnect``."""
        watcher = self._connection.future()  # one per caller of this method, so that each can be cancelled alone
        if self.disconnected:
            watcher.set_result(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def cut(self) -> None:
        """End the connection so that the caller can see that the response is not whole."""
        if self.complete or self.disconnected:
            return
        # Only the connection's end ends a body without length and chunks, so only a reset shows the cut.
        unframed = self.started and not self._chunked and self._left is None
        self.caller_left()
        self._connection.cut(at_once=unframed)

    # The connection's side.

    def feed(self, data: bytes) -> None:
        """Add bytes of the request's body."""
        self._body.append(data)
        self.waiting += len(data)
        self.size += len(data)

    def end(self) -> None:
        """Mark the request as wholly received."""
        self.received = True

    def wake(self) -> None:
        """Wake the app: called once per arrival, not once per chunk."""
        if self._changed is not None:
            self._changed.set()

    def caller_left(self) -> None:
        """Mark the caller as gone."""
        self.disconnected = True
        self.wake()
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()

    def fail(self) -> None:
        """Answer for an app that raised or ended early: 500 if nothing was sent yet, else a cut."""
        if self.complete or self.disconnected:
            return
        if self.started:
            self.cut()
            return
        body = b"internal error\n"
        self.keep_alive = False
        self._left, self._chunked = None, False  # undo what a refused start had set
        self._start(500, [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))])
        self._write(body, more=False)

    def _take_body(self) -> Message:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.waiting = 0
        self._touched = True
        self._body_taken = self.received
        self._connection.body_taken()
        return {"type": "http.request", "body": body, "more_body": not self.received}

    def _start(self, status: int, headers: Headers) -> None:
        if status < _LOWEST_FINAL:
            raise RuntimeError("an app answers with a final status")
        lines = [b"HTTP/1.1 %d %b" % (status, _REASONS.get(status, b""))]
        for key, value in headers:
            name = key.lower()
            if name not in _OF_FRAMING or self._goes_on(name, value):
                lines.append(b"%b: %b" % (name, value))
        self._frame(status, lines)
        lines += (b"", b"")
        head = b"\r\n".join(lines)
        breaks = len(lines) - 1
        if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
            raise RuntimeError("a response header field carries a line break or a NUL")
        self.started = True
        self._connection.write(head)

    def _goes_on(self, name: bytes, value: bytes) -> bool:
        """Record what the app says about the framing; return whether the caller gets this field unchanged."""
        if name == b"content-length":
            if self._left is not None or not value.isdigit():
                raise RuntimeError("the response's content-length is not one number")
            self._left = int(value)
            return True
        if name == b"connection" and b"close" in value.lower():
            self.keep_alive = False
        return False

    def _frame(self, status: int, lines: list[bytes]) -> None:
        self._bodyless = self._bodyless or status in _BODYLESS
        if self._left is None and not self._bodyless:
            if self._chunks:
                self._chunked = True
                lines.append(b"transfer-encoding: chunked")
            else:
                self.keep_alive = False
        if not self.received:
            self.keep_alive = False  # the rest of the request must not be read as the next one
        if not self.keep_alive:
            lines.append(b"connection: close")

    def _write(self, body: bytes, *, more: bool) -> None:
        if self._bodyless:
            self._left = None
        elif self._chunked:
            if body:
                self._connection.write(b"%x\r\n%b\r\n" % (len(body), body))
            if not more:
                self._connection.write(b"0\r\n\r\n")
        else:
            self._count(len(body))
            if body:
                self._connection.write(body)
        if not more:
            if self._left:
                raise RuntimeError("the response is shorter than its content-length")
            self.complete = True
            self.wake()
            self._connection.finished(self)

    def _count(self, size: int) -> None:
        if self._left is not None:
            if size > self._left:
                raise RuntimeError("the response is longer than its content-length")
            self._left -= size
