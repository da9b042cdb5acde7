"""What a case of the wire corpus is, and the requests that cases are built from."""

from typing import NamedTuple

from support.callers.raw_caller import CallerStep

#: Stands wherever a caller chooses a text; no answer of ours may repeat it.
MARK = b"a-word-of-the-caller"
BODY = b'{"model":"gpt-4o","max_tokens":4,"messages":[{"role":"user","content":"' + MARK + b'"}]}'
CHAT = b"/v1/chat/completions"
#: Ends a connection that a case leaves open: the answer is a 404 of ours and a close.
BYE = b"GET /bye HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


class Case(NamedTuple):
    """Bytes of a caller; the statuses that it must hear before the connection ends; the calls that go upstream."""

    name: str
    said: bytes | tuple[CallerStep, ...]
    statuses: tuple[int, ...]
    sent: int = 0


def request(
    *fields: bytes, body: bytes = b"", line: bytes = b"POST " + CHAT + b" HTTP/1.1", host: bytes = b"x"
) -> bytes:
    """A request of these fields and no other but Host."""
    return b"\r\n".join([line, b"host: " + host, *fields, b"", body])


def post(*fields: bytes, body: bytes = BODY, **parts: bytes) -> bytes:
    """A sound chat call, with more fields."""
    return request(*fields, b"content-length: %d" % len(body), body=body, **parts)


def get(target: bytes, *fields: bytes, method: bytes = b"GET") -> bytes:
    """A request without a body that ends its connection."""
    return request(b"connection: close", *fields, line=method + b" " + target + b" HTTP/1.1")


def chunks(*parts: bytes) -> bytes:
    """A chunked body, ended properly."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


#: What a smuggler hides; it must never be read as a request of its own.
HIDDEN = post(b"x-hidden: yes", body=BODY.replace(b"gpt-4o", b"smuggled"))
CHUNKED = b"transfer-encoding: chunked"
