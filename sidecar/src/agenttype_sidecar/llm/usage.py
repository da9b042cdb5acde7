"""How many tokens a call took, as its answer tells: from a whole body, or event by event from a stream.

Reported numbers of a stream are cumulative, so the largest counts, never the sum. A usage chunk that the caller did
not ask for is taken out; every other byte passes as it came.
"""

import re
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol

import orjson
from agenttype_api.policy import WireProtocol
from agenttype_proxy import json_size
from agenttype_proxy.sse import Event

from agenttype_sidecar.budget.reservation import Amounts
from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.rules import texts

#: Bytes of English or code that make one token, roughly; only for what is neither reported nor held.
_BYTES_PER_TOKEN: Final = 4
#: More than any call can take; a number above it is none.
_MOST: Final = 10**12
#: Items of one response that are remembered by name.
_MOST_IDS: Final = 256
#: Bytes of JSON around the text of one event, at the least, in every protocol.
_FRAME: Final = 48
#: Tokens that an engine may have written and not sent when it was cut off.
UNSEEN: Final = 16
#: Tokens that no engine writes more of in a second, for one answer.
FASTEST: Final = 1000
#: Events that end a Responses stream.
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "error")
#: The last chunk of a choice, or an error in its place.
_FINISHED: Final = re.compile(rb'"finish_reason"\s*:\s*"|"error"\s*:\s*[{"]')
_NUMBERS: Final = re.compile(rb"\[[-+.0-9eE, \t\n\r]++\]")
_USAGE: Final = re.compile(rb',[ \t]*"usage"[ \t]*:[ \t]*(?:null|\{[^{}"]*(?:"[^"\\]*"[^{}"]*|\{[^{}]*\}[^{}"]*)*\})')


class Source(StrEnum):
    """How well a number is known."""

    PROVIDER = "provider"
    """The backend's own total."""
    COUNTED = "counted"
    """The backend's running count when the call was cut, and what it can have written since at most."""
    ESTIMATED = "estimated"
    """From sizes. Where a token limit is at stake, from above: every byte of text as a token."""
    RESERVED = "reserved"
    """Unknown: what was held, in full."""


class Usage(NamedTuple):
    """Reported numbers; None: not reported, which is not the same as 0."""

    input: int | None = None
    """All of the prompt, what was read from or written to a cache included."""
    output: int | None = None
    cached_input: int | None = None
    """So much of the input was read from a cache."""
    cache_write: int | None = None
    """So much of the input was written to a cache."""

    def or_more(self, other: "Usage") -> "Usage":
        """Return the larger of each number."""
        return Usage(*map(_larger, self, other))


class Cost(NamedTuple):
    """What a call is charged."""

    amounts: Amounts
    source: Source


def of_body(body: bytes, protocol: WireProtocol) -> Usage:
    """Return what a whole answer reports."""
    return _reported(_object(body).get("usage"), protocol)


def ids_of_body(body: bytes) -> tuple[str, ...]:
    """Return the names under which a backend keeps a whole response: its own and its items'."""
    return _ids(_object(body))


class Allowed(Protocol):
    """What a stream may come to."""

    def beyond(self, reported: Usage) -> Refusal | None:
        """Return what ends a stream of which so much is reported, None while it keeps to what is held for it."""


class Meter:
    """Watches one stream.

    Attributes:
        usage: The numbers so far.
        heard: When something was last passed on, in monotonic seconds.
        lagging: Whether the caller reads so slowly that the backend may be well ahead of what was seen of it.
        pieces: Events that carried something; about as many as tokens.
        written: An upper bound of the bytes of text that the events carried.
        ended: Whether the answer came to its end, as its protocol marks it: what ends without was cut.
        refused: What the stream is to be ended with, None while it keeps to what is held for it.
        ids: The names under which the backend keeps the response, once it is whole.
    """

    def __init__(self, protocol: WireProtocol, *, keep_usage: bool, running: bool, keep_count: bool = False) -> None:
        """Watch a stream of `protocol`.

        Args:
            protocol: the caller's.
            keep_usage: whether the caller asked for the usage chunk.
            running: whether we asked for a running count in every chunk.
            keep_count: whether the caller asked for that too; else it must not see it.
        """
        self.usage = Usage()
        self.heard = 0.0
        self.lagging = False
        self.pieces = 0
        self.written = 0
        self.ended = False
        self.refused: Refusal | None = None
        self.ids: tuple[str, ...] = ()
        self._total = self._whole = self._stale = False
        self._allowed: Allowed | None = None
        self._running = running
        self._strips = running and not keep_count
        self._keep_usage = keep_usage
        self._passed = self._openai if protocol is WireProtocol.OPENAI else self._anthropic

    @property
    def final(self) -> bool:
        """Whether the numbers are the backend's last word: its total, or what it said last of a whole answer."""
        return self._total or (self._whole and not self._stale and self.usage.output is not None)

    @property
    def counts(self) -> bool:
        """Whether every event tells how far the call is, so that the numbers of a stream that is cut are its own."""
        return self._running and not self._stale

    @property
    def most(self) -> int:
        """More tokens than what was seen of the answer can have taken, be a token ever so short."""
        return self.written + UNSEEN

    def limit(self, allowed: Allowed) -> None:
        """Let `refused` say when the stream goes beyond what is allowed.

        By what is reported, and by nothing else: neither events nor bytes are a count of tokens, for servers cut
        tokens up, gather them, and send sound and images that way.
        """
        self._allowed = allowed

    def complete(self) -> None:
        """Take note that nothing is missing of the stream, whether or not its protocol says a last word."""
        self._whole = True

    def passed(self, event: Event) -> bytes:
        """Take note of an event and return the bytes that the caller gets for it, perhaps none."""
        return self._passed(event)

    def _openai(self, event: Event) -> bytes:
        data = event.data
        if event.name:  # only Responses names its events
            return self._responses(event)
        if data == b"[DONE]":
            self.ended = self._whole = True
            return event.raw
        if _FINISHED.search(data):
            self.ended = True
        # Quotes inside JSON strings are escaped, so this finds members only, never text of the answer.
        if b'"usage"' in data:
            return self._chunk(event)
        self._carried(data)
        return event.raw

    def _chunk(self, event: Event) -> bytes:
        """Take note of an event that may tell what the call took."""
        data = event.data
        chunk = _object(data)
        if isinstance(chunk.get("response"), dict):
            return self._responses(event)
        usage = _reported(chunk.get("usage"), WireProtocol.OPENAI)
        if usage == Usage():
            self._carried(data)
            return event.raw
        if chunk.get("choices"):
            self._carried(data, reports=True)
            self._reports(usage, total=False, last=self.ended)
            return _USAGE.sub(b"", event.raw, count=1) if self._strips else event.raw
        self._reports(usage, total=True, last=True)
        return event.raw if self._keep_usage else b""

    def _responses(self, event: Event) -> bytes:
        """Take note of an event of the Responses protocol; its last one tells what the call took."""
        if event.name.endswith(b".delta"):
            self._carried(event.data)
            return event.raw
        content = _object(event.data)
        kind, response = content.get("type"), content.get("response")
        ends = event.name == b"error" or kind in _ENDS
        self.ended = self.ended or ends
        if isinstance(response, dict):
            usage = _reported(response.get("usage"), WireProtocol.OPENAI)
            self._reports(usage, total=ends and usage.output is not None, last=ends)
            if ends:
                self.ids = _ids(response)
        return event.raw

    def _anthropic(self, event: Event) -> bytes:
        name = event.name
        if name == b"content_block_delta":
            self._carried(event.data)
        elif name in (b"message_stop", b"error"):
            self.ended = True
        elif name in (b"message_start", b"message_delta"):
            content = _object(event.data)
            holder = content.get("message") if name == b"message_start" else content
            usage = _reported(holder.get("usage") if isinstance(holder, dict) else None, WireProtocol.ANTHROPIC)
            if name == b"message_start":  # its output count is of the beginning only, and says nothing of a cut stream
                usage = usage._replace(output=None)
            delta = content.get("delta")
            last = isinstance(delta, dict) and delta.get("stop_reason") is not None
            self._reports(usage, total=usage.output is not None, last=last)
        return event.raw

    def _reports(self, usage: Usage, *, total: bool, last: bool) -> None:
        self.usage = self.usage.or_more(usage)
        self._total = self._total or total
        self._stale = False
        # What has come to its end is not cut for what it took.
        if self._allowed is not None and not last and self.refused is None:
            self.refused = self._allowed.beyond(self.usage)

    def _carried(self, data: bytes, *, reports: bool = False) -> None:
        self.pieces += 1
        self.written += max(1, len(data) - _FRAME)
        if reports:
            self._total = False
        elif self.usage.output is not None and not self._whole and _text(data):
            # Text came after it, so the last report was no total.
            self._stale, self._total = True, False


def cost(usage: Usage, held: Amounts, *, final: bool, unseen: int | None = None, most: int | None = None) -> Cost:
    """Return what to charge for a dispatched call under a token limit: what is known, else what was held.

    Args:
        usage: what was reported.
        held: what was held.
        final: whether the report is the last word.
        unseen: tokens that a cut answer can have taken at most beyond its running count; None where it has none.
        most: tokens that a cut answer can have taken at most, where its text tells.
    """
    input_tokens = held.input if usage.input is None else usage.input
    if final and usage.output is not None:
        source = Source.PROVIDER if usage.input is not None else Source.RESERVED
        return Cost(Amounts(input_tokens, usage.output, 1), source)
    least = usage.output or 0  # so much it took before it was cut, whatever was held
    if unseen is not None and usage.output is not None and usage.input is not None:
        return Cost(Amounts(input_tokens, max(least, min(least + unseen, held.output)), 1), Source.COUNTED)
    if most is not None and least <= most < held.output:
        return Cost(Amounts(input_tokens, most, 1), Source.ESTIMATED)
    return Cost(Amounts(input_tokens, max(least, held.output), 1), Source.RESERVED)


def estimate(usage: Usage, size: int, pieces: int, *, final: bool) -> Cost:
    """Return what to note for a dispatched call that no token limit bounds.

    Args:
        usage: what was reported.
        size: bytes of the request's body.
        pieces: events of the answer.
        final: whether the report is the last word.
    """
    input_tokens = size // _BYTES_PER_TOKEN if usage.input is None else usage.input
    if usage.output is not None and usage.input is not None:
        return Cost(Amounts(input_tokens, usage.output, 1), Source.PROVIDER if final else Source.COUNTED)
    return Cost(Amounts(input_tokens, pieces if usage.output is None else usage.output, 1), Source.ESTIMATED)


def _reported(usage: Any, protocol: WireProtocol) -> Usage:
    if not isinstance(usage, dict):
        return Usage()
    if protocol is WireProtocol.ANTHROPIC:
        read, written = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
        fresh = _count(usage, "input_tokens")
        whole = None if fresh is None else fresh + (read or 0) + (written or 0)
        return Usage(whole, _count(usage, "output_tokens"), read, written)
    # Chat, completions and embeddings say it so; Responses as the second names.
    whole = _first(usage, "prompt_tokens", "input_tokens")
    output = _first(usage, "completion_tokens", "output_tokens")
    total = _count(usage, "total_tokens")
    unsaid = "completion_tokens" not in usage and "output_tokens" not in usage
    if whole is not None and total is not None and (unsaid or output is not None):
        # Embeddings put nothing out, and do not say so; some providers leave what was thought to the total alone.
        output = max(output or 0, total - whole)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    if not isinstance(details, dict):
        return Usage(whole, output)
    read = _at_most(whole, _count(details, "cached_tokens"))
    written = _at_most(whole, _first(details, "cache_write_tokens", "created_cache_tokens"))
    return Usage(whole, output, read, written)


def _text(data: bytes) -> int:
    """Return the bytes of text that an event of an answer carries."""
    return sum(len(piece.text.encode(errors="replace")) for piece in texts.of_event(data) if piece.channel)


def _object(data: bytes) -> dict[str, Any]:
    """A JSON object, empty where there is none that could be read."""
    if json_size.has_too_many_parts(data):
        data = _NUMBERS.sub(b"[]", data)  # what embeddings are made of
        if json_size.has_too_many_parts(data):
            return {}
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _ids(response: dict[str, Any]) -> tuple[str, ...]:
    items = response.get("output")
    named = [response, *(items if isinstance(items, list) else ())]
    found = [each.get("id") for each in named if isinstance(each, dict)]
    return tuple(each for each in found if isinstance(each, str))[:_MOST_IDS]


def _first(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        if (value := _count(usage, name)) is not None:
            return value
    return None


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def _at_most(whole: int | None, part: int | None) -> int | None:
    """A part is cheaper than the rest, so one that is larger than the whole would make the call cost too little."""
    return part if part is None or whole is None else min(part, whole)


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
