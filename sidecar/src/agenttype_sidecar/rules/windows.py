"""What is kept of a stream's texts, so that a pattern finds what was cut into pieces. Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from agenttype_sidecar.rules import texts
from agenttype_sidecar.rules.texts import Piece

#: Bytes of a channel that are searched again with what follows; a match that spans more of a stream is not found.
WINDOW: Final = 4096
#: Channels that are kept apart; a stream that has more shares the last one, so that it cannot fill our memory.
CHANNELS: Final = 256


class Stretch(NamedTuple):
    """Bytes to search; those before `start` are only there to tell that the text does not begin here."""

    content: bytes
    start: int


_EMPTY: Final = Stretch(b"", 0)


class Windows:
    """The open channels of one stream."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str | int, ...], _Window] = {}

    def stretches(self, piece: Piece) -> Iterator[Stretch]:
        """Yield what to search now that a piece has come: its text with what came before it in its channel."""
        if piece.channel is None:
            for content in whole(piece.text):
                yield Stretch(content, 0)
            return
        window = self._channels.get(piece.channel)
        if window is None:
            key = piece.channel if len(self._channels) < CHANNELS else ()
            window = self._channels.setdefault(key, _Window(0))
        yield from window.fed(piece.text)


def whole(text: str) -> list[bytes]:
    """Return what to search of a text that is all there: itself, and itself with its escapes undone."""
    found = [encoded(text)]
    while "\\" in text and len(found) <= texts.ESCAPES:
        text = texts.unescaped(text)
        found.append(encoded(text))
    return found


def encoded(text: str) -> bytes:
    """Return a text's bytes; half a surrogate pair, which no bytes stand for, becomes a question mark."""
    return text.encode(errors="replace")


class _Window:
    """One channel, and the channel of what its escapes stand for, from the first escape on."""

    __slots__ = ("_begun", "_inner", "_level", "_tail")

    def __init__(self, level: int, tail: Stretch = _EMPTY) -> None:
        self._level = level
        self._tail = tail
        self._begun = ""
        self._inner: _Window | None = None

    def fed(self, text: str) -> Iterator[Stretch]:
        if not text:
            return
        former = self._tail
        stretch = Stretch(former.content + encoded(text), former.start)
        self._tail = _tail(stretch)
        yield stretch
        if self._inner is None:
            if "\\" not in text or self._level == texts.ESCAPES:
                return
            self._inner = _Window(self._level + 1, former)
        ready, self._begun = texts.split_escape(self._begun + text)
        yield from self._inner.fed(texts.unescaped(ready))


def _tail(stretch: Stretch) -> Stretch:
    """Return the last bytes of a stretch, whole characters, with one before them for context."""
    content = stretch.content
    if len(content) <= WINDOW:
        return stretch
    begin = len(content) - WINDOW
    while content[begin] & 0xC0 == 0x80:  # noqa: PLR2004 — the mark of a byte that continues a character
        begin += 1
    lead = begin - 1
    while content[lead] & 0xC0 == 0x80:  # noqa: PLR2004 — see above
        lead -= 1
    return Stretch(content[lead:], begin - lead)
