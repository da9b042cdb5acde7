"""Reads requests from untrusted bytes."""

import re
from typing import NamedTuple, NoReturn, Protocol

import httptools

from agenttype_proxy.listener import ServerLimits
from agenttype_proxy.messages import Headers
from agenttype_proxy.request_head import acceptable

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Head(NamedTuple):
    """A request's head, accepted as unambiguous."""

    method: bytes
    target: bytes
    version: str
    headers: Headers
    keep_alive: bool


class Refused(Exception):  # noqa: N818 — a decision about the caller's bytes
    """Nothing after this can be read as a request; ``status`` is sent to the caller."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestSink(Protocol):
    """Receives the requests that are read."""

    def head_begun(self) -> None:
        """The first byte of a request has arrived."""

    def head_read(self, head: Head) -> int:
        """A head is complete; return the status that refuses it, or 0."""

    def body_read(self, data: bytes) -> None:
        """Body bytes have arrived."""

    def request_read(self) -> None:
        """The request is complete."""


class RequestReader:
    """Passes requests to its sink, and refuses what is malformed, ambiguous or too large.

    Fields with an underscore in their name are dropped.

    The parser accepts RTSP as HTTP without saying so, so the request line itself is checked.

    A request that offers an upgrade is read as an ordinary request.
    """

    __slots__ = (
        "_count", "_fields", "_head_bytes", "_line", "_most_bytes", "_most_fields", "_parser", "_replaying", "_seen",
        "_sink", "_target", "_unparsed", "_upgrade", "_verdict", "in_head",
    )  # fmt: skip

    _target: bytes
    _fields: Headers

    def __init__(self, sink: RequestSink, limits: ServerLimits) -> None:
        self._sink = sink
        self._most_bytes = limits.head_bytes
        self._most_fields = limits.head_fields
        self._parser = httptools.HttpRequestParser(self)
        self._count = 0  # fields of the head
        self._head_bytes = 0  # of the head or the trailers being read
        self._unparsed = 0  # bytes since the parser's last callback
        self._verdict = 0
        self._line = b""  # the part of an incomplete head that has arrived, at least its request line
        self._seen = b""  # contains the request line of a head that ends now
        self._upgrade = False
        self._replaying = False
        self.in_head = False

    def feed(self, data: bytes) -> None:
        """Read more bytes.

        Raises:
            Refused: This connection must not be read any further.
        """
        self._seen = self._line + data if self._line else data
        lined = self._count > 0
        try:
            while data:
                self._unparsed += len(data)
                try:
                    self._parser.feed_data(data)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    self._ignore_upgrade()
                    data = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise Refused(self._verdict or 400) from error
        if self._unparsed > self._most_bytes:
            raise Refused(431)
        if not self.in_head:
            self._line = b""
        elif not (self._line and lined):  # a field shows that the request line before it is complete
            self._line = self._seen
        self._seen = b""

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Start a head."""
        if self._replaying:
            return
        self.in_head = True
        self._line = self._target = b""
        self._fields = []
        self._count = self._head_bytes = 0
        self._sink.head_begun()

    def on_url(self, part: bytes) -> None:
        """Collect the target."""
        if not self._replaying:
            self._target += part
            self._count_bytes(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a field; count trailers and drop them."""
        if self._replaying:
            return
        # Inlined from `_count_bytes`, because it runs for every field of every request.
        self._unparsed = 0
        self._head_bytes = size = self._head_bytes + len(name) + len(value) + 4
        if size > self._most_bytes:
            self._stop(431)
        if self.in_head:
            self._count = count = self._count + 1
            if count > self._most_fields:
                self._stop(431)
            if b"_" not in name:  # some servers read it as a hyphen, so such a field would bypass checks
                self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head and pass it on."""
        if self._replaying:
            return
        parser = self._parser
        self.in_head = False
        self._head_bytes = 0
        self._upgrade = parser.should_upgrade()
        method, version = parser.get_method(), parser.get_http_version()
        if not acceptable(method, self._target, version, self._fields) or self._is_foreign(method):
            self._stop(400)
        keep_alive = version == "1.1" and parser.should_keep_alive()
        refusal = self._sink.head_read(Head(method, self._target, version, self._fields, keep_alive))
        if refusal:
            self._stop(refusal)

    def on_body(self, data: bytes) -> None:
        """Pass body bytes on."""
        self._unparsed = 0
        self._sink.body_read(data)

    def on_message_complete(self) -> None:
        """End the request, unless the parser only stopped for an upgrade that we ignore."""
        self._unparsed = 0
        if not self._upgrade:
            self._sink.request_read()

    def _is_foreign(self, method: bytes) -> bool:
        seen = self._seen
        if b" RTSP/" not in seen:
            return False
        # A body in the same bytes may contain RTSP too, but a JSON string has no line end.
        return re.search(rb"%b +%b +RTSP/[0-9.]+\r\n" % (method, re.escape(self._target)), seen) is not None

    def _count_bytes(self, size: int) -> None:
        self._unparsed = 0
        self._head_bytes += size
        if self._head_bytes > self._most_bytes:
            self._stop(431)

    def _stop(self, status: int) -> NoReturn:
        # The parser turns an exception of a callback into its own error, so keep the status here.
        self._verdict = status
        raise Refused(status)

    def _ignore_upgrade(self) -> None:
        # To the parser, everything after the head of an upgrade request is another protocol. But some clients (among
        # them the JDK's) offer h2c on ordinary requests with a body. So a new parser reads on, from a head with only
        # the framing of the body.
        framing = b"".join(b"%b: %b\r\n" % field for field in self._fields if field[0] in _FRAMING)
        self._upgrade = False
        self._parser = httptools.HttpRequestParser(self)
        self._replaying = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
        self._replaying = False
