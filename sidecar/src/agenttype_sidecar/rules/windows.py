"""Keeps the end of a stream's texts, so that a pattern finds a match that spans several fragments. Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agenttype_sidecar.rules import message_texts
from agenttype_sidecar.rules.message_texts import TextFragment

#: Bytes of a channel that are searched again with the next fragment; a match that spans more is not found.
WINDOW: Final = 4096
#: Channels that are kept apart; further channels share one, so that a stream cannot fill our memory.
CHANNELS: Final = 256


class SearchSpan(NamedTuple):
    """Bytes to search; those before `start` only show that the text does not begin here."""

    content: bytes
    start: int


_EMPTY: Final = SearchSpan(b"", 0)


class Windows:
    """The open channels of one stream."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str | int, ...], _Window] = {}

    def spans(self, fragment: TextFragment) -> Iterator[SearchSpan]:
        """Yield what to search for a new fragment: its text, with the text before it in its channel."""
        if fragment.channel is None:
            for content in whole(fragment.text):
                yield SearchSpan(content, 0)
            return
        window = self._channels.get(fragment.channel)
        if window is None:
            key = fragment.channel if len(self._channels) < CHANNELS else ()
            window = self._channels.setdefault(key, _Window(0))
        yield from window.feed(fragment.text)


def whole(text: str) -> list[bytes]:
    """Return what to search for a whole text: the text, and the text with its escapes decoded."""
    found = [encoded(text)]
    while "\\" in text and len(found) <= message_texts.ESCAPES:
        text = message_texts.unescaped(text)
        found.append(encoded(text))
    return found


def encoded(text: str) -> bytes:
    """Return a text's bytes; half a surrogate pair, which has no bytes, becomes a question mark."""
    return text.encode(errors="replace")


class _Window:
    """One channel, and from its first escape on, the channel of its decoded text."""

    __slots__ = ("_begun", "_inner", "_level", "_tail")

    def __init__(self, level: int, tail: SearchSpan = _EMPTY) -> None:
        self._level = level
        self._tail = tail
        self._begun = ""
        self._inner: _Window | None = None

    def feed(self, text: str) -> Iterator[SearchSpan]:
        if not text:
            return
        former = self._tail
        span = SearchSpan(former.content + encoded(text), former.start)
        self._tail = _tail(span)
        yield span
        if self._inner is None:
            if "\\" not in text or self._level == message_texts.ESCAPES:
                return
            self._inner = _Window(self._level + 1, former)
        ready, self._begun = message_texts.split_escape(self._begun + text)
        yield from self._inner.feed(message_texts.unescaped(ready))


def _tail(span: SearchSpan) -> SearchSpan:
    """Return the last bytes of a span, whole characters, with one character before them for context."""
    content = span.content
    if len(content) <= WINDOW:
        return span
    begin = len(content) - WINDOW
    while content[begin] & 0xC0 == 0x80:  # noqa: PLR2004 — the mark of a byte that continues a character
        begin += 1
    lead = begin - 1
    while content[lead] & 0xC0 == 0x80:  # noqa: PLR2004 — see above
        lead -= 1
    return SearchSpan(content[lead:], begin - lead)
