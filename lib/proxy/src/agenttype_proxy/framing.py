"""Writes a request head, and decides where a response ends. Pure and strict."""

import enum
import re

from agenttype_proxy.errors import InvalidRequest, InvalidResponse
from agenttype_proxy.headers import HOP_BY_HOP, OF_ONE_REQUEST
from agenttype_proxy.messages import Headers, Origin, Request

_WRITTEN_BY_US = HOP_BY_HOP | OF_ONE_REQUEST
_METHOD = re.compile(rb"[A-Z][A-Z-]*")
_TARGET = re.compile(rb"/[!-\"$-~]*")  # visible ASCII without '#'
_METHODS_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})


class BodyEnd(enum.Enum):
    """What marks the end of a response body."""

    HEAD = "there is no body"
    PARSER = "content-length or the last chunk"
    CLOSE = "the connection's end"


def request_head(origin: Origin, request: Request) -> bytes:
    """Return the request line and fields, blank line included.

    Raises:
        InvalidRequest: A part contains a character that would change where the request ends (a line break, NUL, blank).
    """
    if not _METHOD.fullmatch(request.method) or not _TARGET.fullmatch(request.target):
        raise InvalidRequest("the method or the target is not one that a request line can carry")
    lines = [b"%b %b HTTP/1.1\r\nhost: %b" % (request.method, request.target, origin.host_field)]
    lines += [b"%b: %b" % field for field in request.headers if field[0] not in _WRITTEN_BY_US]
    if request.body or request.method in _METHODS_WITH_BODY:
        lines.append(b"content-length: %d" % len(request.body))
    lines += (b"", b"")
    head = b"\r\n".join(lines)
    breaks = len(lines)  # the first element holds two lines, the last none
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or b"\0" in head:
        raise InvalidRequest("a header field carries a line break or a NUL")
    return head


def body_end(method: bytes, status: int, headers: Headers) -> BodyEnd:
    """Return what ends the body of the response ``status`` to ``method``.

    The parser has already refused duplicate and malformed lengths, and a length together with an encoding.

    Raises:
        InvalidResponse: The body is coded in a way whose end cannot be detected.
    """
    length = coding = None
    codings = 0
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            coding = value
            codings += 1
    if coding is not None and (codings > 1 or coding.strip().lower() != b"chunked"):
        raise InvalidResponse("the response has a transfer encoding other than chunked")
    if status in (204, 304) or method == b"HEAD":
        return BodyEnd.HEAD
    return BodyEnd.CLOSE if length is None and coding is None else BodyEnd.PARSER
