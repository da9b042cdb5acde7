"""How many tokens a call took, as its answer tells: from a whole body, or event by event from a stream.

Reported numbers of a stream are cumulative, so the largest counts, never the sum. A usage chunk that the caller did
not ask for is taken out; every other byte passes as it came.
"""

import re
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson
from agenttype_api.policy import WireProtocol
from agenttype_proxy.sse import Event

from agenttype_sidecar.budget.reservation import Amounts

#: Bytes of English or code that make one token, roughly; only for what is neither reported nor held.
_BYTES_PER_TOKEN: Final = 4
_USAGE: Final = re.compile(rb',[ \t]*"usage"[ \t]*:[ \t]*(?:null|\{[^{}"]*(?:"[^"\\]*"[^{}"]*|\{[^{}]*\}[^{}"]*)*\})')


class Source(StrEnum):
    """How well a number is known."""

    PROVIDER = "provider"
    """The backend's own total."""
    COUNTED = "counted"
    """The backend's running count at the moment the call was cut."""
    ESTIMATED = "estimated"
    """From sizes; only where no token limit is at stake."""
    RESERVED = "reserved"
    """Unknown: what was held, in full."""


class Usage(NamedTuple):
    """Reported numbers; None: not reported, which is not the same as 0."""

    input: int | None = None
    output: int | None = None

    def or_more(self, other: "Usage") -> "Usage":
        """Return the larger of each number."""
        return Usage(_larger(self.input, other.input), _larger(self.output, other.output))


class Cost(NamedTuple):
    """What a call is charged."""

    amounts: Amounts
    source: Source


def of_body(body: bytes, protocol: WireProtocol) -> Usage:
    """Return what a whole answer reports."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Usage()
    return _reported(answer.get("usage"), protocol) if isinstance(answer, dict) else Usage()


class Meter:
    """Watches one stream.

    Attributes:
        usage: The numbers so far.
        final: Whether they are the backend's last word.
        pieces: Events that carried something; about as many as tokens.
    """

    def __init__(self, protocol: WireProtocol, *, keep_usage: bool, running: bool) -> None:
        """Watch a stream of `protocol`.

        Args:
            protocol: the caller's.
            keep_usage: whether the caller asked for the usage chunk.
            running: whether we asked for a running count in every chunk, which the caller must not see.
        """
        self.usage = Usage()
        self.final = False
        self.pieces = 0
        self._running = running
        self._keep_usage = keep_usage
        self._passed = self._openai if protocol is WireProtocol.OPENAI else self._anthropic

    def passed(self, event: Event) -> bytes:
        """Take note of an event and return the bytes that the caller gets for it, perhaps none."""
        return self._passed(event)

    def _openai(self, event: Event) -> bytes:
        data = event.data
        # Quotes inside JSON strings are escaped, so this finds members only, never text of the answer.
        if b'"usage"' not in data:
            self.pieces += 1
            return event.raw
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            return event.raw
        usage = _reported(chunk.get("usage"), WireProtocol.OPENAI) if isinstance(chunk, dict) else Usage()
        if usage == Usage():
            self.pieces += 1
            return event.raw
        self.usage = self.usage.or_more(usage)
        if chunk.get("choices"):
            self.pieces += 1
            self.final = self.final or not self._running
            return _USAGE.sub(b"", event.raw, count=1) if self._running else event.raw
        self.final = True
        return event.raw if self._keep_usage else b""

    def _anthropic(self, event: Event) -> bytes:
        name = event.name
        if name == b"content_block_delta":
            self.pieces += 1
        elif name in (b"message_start", b"message_delta"):
            try:
                content = orjson.loads(event.data)
                holder = content["message"] if name == b"message_start" else content
                usage = _reported(holder.get("usage"), WireProtocol.ANTHROPIC)
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                return event.raw
            if name == b"message_start":  # its output count is of the beginning only, and says nothing of a cut stream
                usage = usage._replace(output=None)
            self.usage = self.usage.or_more(usage)
            self.final = self.final or usage.output is not None
        return event.raw


def cost(usage: Usage, held: Amounts, *, final: bool) -> Cost:
    """Return what to charge for a dispatched call under a token limit: what is known, else what was held."""
    input_tokens = held.input if usage.input is None else usage.input
    if final and usage.output is not None:
        source = Source.PROVIDER if usage.input is not None else Source.RESERVED
        return Cost(Amounts(input_tokens, usage.output, 1), source)
    if usage.output is not None and usage.input is not None:
        return Cost(Amounts(input_tokens, usage.output, 1), Source.COUNTED)
    return Cost(Amounts(input_tokens, held.output, 1), Source.RESERVED)


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
    if protocol is WireProtocol.OPENAI:
        return Usage(_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
    read = _count(usage, "input_tokens")
    cached = (_count(usage, "cache_creation_input_tokens") or 0) + (_count(usage, "cache_read_input_tokens") or 0)
    return Usage(None if read is None else read + cached, _count(usage, "output_tokens"))


def _count(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
