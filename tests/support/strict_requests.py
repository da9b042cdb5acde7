"""Requests as RFC 9112 has them, read slowly and with no mercy: what our own reader is held against.

It forgives what cannot change where a request ends: line ends before a request, several blanks in its line, and what an
extension of a chunk says.
"""

import re
from typing import NamedTuple

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") +(/[!\"$-~]*) +HTTP/(1\.[01])")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[!-~\x80-\xff](?:[ \t!-~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*")
_SIZE = re.compile(rb"(0*[0-9a-fA-F]{1,16})(?:;[\t !-~\x80-\xff]*)?")


class Request(NamedTuple):
    """One whole request; fields with an underscore in their name are left out."""

    method: bytes
    target: bytes
    version: str
    fields: list[tuple[bytes, bytes]]
    body: bytes


class _Wrong(Exception):  # noqa: N818 — a verdict
    """No request, or not all of it."""


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._data):
            raise _Wrong
        return self._data[self._at - size : self._at]

    def line(self) -> bytes:
        line = self.take(self._data.find(b"\n", self._at) + 1 - self._at or len(self._data) + 1)
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise _Wrong
        return line[:-2]

    def skip_line_ends(self) -> None:
        while self._data[self._at : self._at + 1] in (b"\r", b"\n"):
            self._at += 1


def read(data: bytes) -> list[Request]:
    """The whole requests that stand in front of the first byte that belongs to none."""
    source, found = _Bytes(data), []
    try:
        while True:
            source.skip_line_ends()
            found.append(_request(source))
    except _Wrong:
        return found


def _request(source: _Bytes) -> Request:
    line = _LINE.fullmatch(source.line())
    if line is None:
        raise _Wrong
    fields = _fields(source)
    lengths, codings, hosts = (
        [value for name, value in fields if name == wanted]
        for wanted in (b"content-length", b"transfer-encoding", b"host")
    )
    is_new = line[3] == b"1.1"
    if len(lengths) + len(codings) > 1 or len(hosts) > 1 or (is_new and not hosts):
        raise _Wrong
    if codings and (codings[0].lower() != b"chunked" or not is_new):
        raise _Wrong
    if lengths and not re.fullmatch(rb"[0-9]{1,19}", lengths[0]):
        raise _Wrong
    body = _chunks(source) if codings else source.take(int(lengths[0])) if lengths else b""
    kept = [field for field in fields if b"_" not in field[0]]
    return Request(line[1], line[2], line[3].decode(), kept, body)


def _fields(source: _Bytes) -> list[tuple[bytes, bytes]]:
    found = []
    while line := source.line():
        field = _FIELD.fullmatch(line)
        if field is None:
            raise _Wrong
        found.append((field[1].lower(), field[2]))
    return found


def _chunks(source: _Bytes) -> bytes:
    body = b""
    while True:
        size = _SIZE.fullmatch(source.line())
        if size is None:
            raise _Wrong
        if not int(size[1], 16):
            _fields(source)
            return body
        body += source.take(int(size[1], 16))
        if source.take(2) != b"\r\n":
            raise _Wrong
