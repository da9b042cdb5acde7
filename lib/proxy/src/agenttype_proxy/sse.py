"""Finds server-sent events in a stream, without changing a byte of it."""

import re
from typing import NamedTuple

from agenttype_proxy.errors import EventTooLarge

# A line ends with CR LF, LF or CR; an event ends with an empty line. The quantifiers are possessive, so that a
# CR LF is never taken for two line ends.
_EMPTY_LINE = re.compile(rb"(?:\r\n?+|\n)(?:\r\n?+|\n)")
_LINE_END = re.compile(rb"\r\n?+|\n")
_BOM = b"\xef\xbb\xbf"
_MOST_LINES = 131_072  # of one event; as a list, the lines take many times the memory of their bytes
_OVERLAP = 3  # the last bytes before new ones may begin an empty line that the new ones complete


class Event(NamedTuple):
    """One event as it came.

    Attributes:
        raw: The exact bytes, with the empty line that ends the event; all ``raw`` in order are the stream.
        name: The ``event`` field, empty where there is none.
        data: The ``data`` fields, joined by LF; empty for a comment.
    """

    raw: bytes
    name: bytes
    data: bytes


class EventReader:
    """Splits a byte stream into events, independent of where its chunks end.

    An event is given out with its last byte. The only exception is an event that ends with a bare CR at the end of a
    chunk: the next byte may be the LF that belongs to it, so it waits for that byte.
    """

    __slots__ = ("_first", "_limit", "_rest", "_seen")

    def __init__(self, limit: int = 1_048_576) -> None:
        """Refuse events of more than ``limit`` bytes, and of far too many lines."""
        self._limit = limit
        self._rest = bytearray()
        self._seen = 0  # this much of the rest is known to hold no complete event
        self._first = True

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes.

        Raises:
            EventTooLarge: An event exceeds the limit; the stream cannot be read any further.
        """
        self._rest += data
        return self._cut(final=False)

    def flush(self) -> list[Event]:
        """Return what is left at the stream's end: an event without its empty line, or nothing."""
        events = self._cut(final=True)
        if self._rest:
            events.append(self._event(bytes(self._rest)))
            self._rest.clear()
        self._seen = 0
        return events

    def _cut(self, *, final: bool) -> list[Event]:
        rest = self._rest
        events: list[Event] = []
        begin = 0
        while (end := self._end(begin, final=final)) is not None:
            self._check(end - begin)
            events.append(self._event(bytes(rest[begin:end])))
            begin = self._seen = end
        del rest[:begin]
        self._check(len(rest))
        self._seen = max(0, len(rest) - _OVERLAP)
        return events

    def _end(self, begin: int, *, final: bool) -> int | None:
        rest = self._rest
        if begin == len(rest):
            return None
        start = max(begin, self._seen)
        if rest[begin] in b"\r\n":
            match = _LINE_END.match(rest, begin)
        elif rest.find(b"\r", start) < 0:
            found = rest.find(b"\n\n", start)
            return None if found < 0 else found + 2
        else:
            match = _EMPTY_LINE.search(rest, start)
        if match is None:
            return None
        undecided = match.end() == len(rest) and rest.endswith(b"\r") and not final
        return None if undecided else match.end()

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise EventTooLarge(f"a server-sent event is larger than {self._limit} bytes")

    def _event(self, raw: bytes) -> Event:
        if len(raw) > _MOST_LINES and raw.count(b"\n") + raw.count(b"\r") > _MOST_LINES:
            raise EventTooLarge(f"a server-sent event has more than {_MOST_LINES} lines")
        text = raw
        if self._first:
            self._first = False
            text = raw.removeprefix(_BOM)
        name, data = b"", []
        for line in text.splitlines():
            field, _, value = line.partition(b":")
            if field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ")
        return Event(raw, name, b"\n".join(data))
