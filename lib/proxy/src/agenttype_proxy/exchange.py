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
    """Whether the caller is too slow to read what has been written."""

    def future(self) -> "asyncio.Future[None]":
        """Return a new future of the connection's loop."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    async def relieved(self) -> None:
        """Wait until the connection is not congested, or gone."""

    def taken(self) -> None:
        """Read on, after the app has taken what was waiting of the body."""

    def finished(self, exchange: "Exchange") -> None:
        """The response is complete."""

    def cut(self, *, at_once: bool) -> None:
        """End the connection: after what is buffered has been sent, or with a reset."""


class Exchange:
    """One request and its response; called, it is the app's ``receive``.

    Owns the response's framing: what an app says of ``Transfer-Encoding`` and its kin is dropped, and a body
    that contradicts its ``Content-Length`` is an error of the app.
    """

    __slots__ = (
        "_body", "_bodyless", "_chunked", "_chunks", "_continue", "_delivered", "_left", "_line", "_news",
        "_touched", "_watchers", "complete", "disconnected", "keep_alive", "received", "size", "started",
        "waiting",
    )  # fmt: skip

    def __init__(self, line: CallerConnection, scope: Scope, *, keep_alive: bool) -> None:
        """Begin; the scope is given the extension by which an app reaches back here."""
        # We keep no reference to the scope, which refers to us: a cycle per request is work for the collector.
        self.keep_alive = keep_alive
        self.received = False  # the request is here to its last byte
        self.started = False
        self.complete = False
        self.disconnected = False
        self.size = 0  # body bytes that have arrived
        self.waiting = 0  # those that the app has not taken yet
        self._line = line
        self._body: list[bytes] = []
        self._touched = False  # the app has taken body bytes
        self._delivered = False  # and the last of them
        self._continue = (get(scope["headers"], b"expect") or b"").lower() == b"100-continue"
        self._bodyless = scope["method"] == "HEAD"
        self._chunks = scope["http_version"] == "1.1"  # whether the caller understands them
        self._chunked = False
        self._left: int | None = None
        self._news: asyncio.Event | None = None
        self._watchers: list[asyncio.Future[None]] = []
        scope["extensions"] = {CUT: self.cut}

    # The app's side.

    async def __call__(self) -> Message:
        """Receive: body bytes as they come, then ``http.disconnect`` once the caller is gone or answered."""
        if self._continue and not self.received and not self.started and not self.disconnected:
            self._continue = False
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.disconnected and not self.complete:
            if (self._body or self.received) and not self._delivered:
                return self._deliver()
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send: start, then body parts; silently nothing once the caller is gone, as ASGI 2.3 has it.

        Raises:
            RuntimeError: The app breaks ASGI's order, or its own ``Content-Length``.
        """
        if self._line.congested:
            await self._line.relieved()
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
        """Take the whole body if all of it is here and nobody has taken any; see ``asgi.read_body``."""
        if not self.received or self._delivered or self._touched or self.disconnected:
            return None
        body: bytes = self._deliver()["body"]
        return body

    def gone(self) -> "asyncio.Future[None]":
        """Return a future that completes when the caller hangs up; see ``asgi.watch_disconnect``."""
        watcher = self._line.future()  # one each: who cancels his leaves the others theirs
        if self.disconnected:
            watcher.set_result(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def cut(self) -> None:
        """End the connection so that the caller can tell that the response is not whole."""
        if self.complete or self.disconnected:
            return
        # Only the connection's end ends a body without length and chunks, so nothing but a reset shows the cut.
        unframed = self.started and not self._chunked and self._left is None
        self.lose()
        self._line.cut(at_once=unframed)

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
        """Let the app look: called once per arrival, not once per chunk."""
        if self._news is not None:
            self._news.set()

    def lose(self) -> None:
        """Mark the caller as gone."""
        self.disconnected = True
        self.wake()
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()

    def fail(self) -> None:
        """Answer for an app that raised or went silent: 500 where nothing was said yet, else a cut."""
        if self.complete or self.disconnected:
            return
        if self.started:
            self.cut()
            return
        body = b"internal error\n"
        self.keep_alive = False
        self._left, self._chunked = None, False  # as far as a refused start had come
        self._start(500, [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))])
        self._write(body, more=False)

    def _deliver(self) -> Message:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self.waiting = 0
        self._touched = True
        self._delivered = self.received
        self._line.taken()
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
        self._line.write(head)

    def _goes_on(self, name: bytes, value: bytes) -> bool:
        """Take note of what the app says of the framing; return whether the caller hears it in these words."""
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
            self.keep_alive = False  # what is still to come of the request must not be read as the next one
        if not self.keep_alive:
            lines.append(b"connection: close")

    def _write(self, body: bytes, *, more: bool) -> None:
        if self._bodyless:
            self._left = None
        elif self._chunked:
            if body:
                self._line.write(b"%x\r\n%b\r\n" % (len(body), body))
            if not more:
                self._line.write(b"0\r\n\r\n")
        else:
            self._count(len(body))
            if body:
                self._line.write(body)
        if not more:
            if self._left:
                raise RuntimeError("the response is shorter than its content-length")
            self.complete = True
            self.wake()
            self._line.finished(self)

    def _count(self, size: int) -> None:
        if self._left is not None:
            if size > self._left:
                raise RuntimeError("the response is longer than its content-length")
            self._left -= size
