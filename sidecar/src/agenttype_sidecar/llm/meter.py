"""Measures what a stream took, event by event.

Reported numbers are cumulative, so the largest counts, never the sum. A usage chunk that the caller did not ask for is
removed; every other byte passes unchanged.
"""

import re
from typing import Final, Protocol

from agenttype_api.policy import WireProtocol
from agenttype_proxy.sse import Event

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.llm import usage as reports
from agenttype_sidecar.llm.usage import UNSEEN, Usage
from agenttype_sidecar.rules import message_texts

#: The least bytes of JSON around the text of one event, in every protocol.
_FRAME: Final = 48
#: Events that end a Responses stream.
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "error")
#: The last chunk of a choice, or an error in its place.
_FINISHED: Final = re.compile(rb'"finish_reason"\s*:\s*"|"error"\s*:\s*[{"]')
_USAGE: Final = re.compile(rb',[ \t]*"usage"[ \t]*:[ \t]*(?:null|\{[^{}"]*(?:"[^"\\]*"[^{}"]*|\{[^{}]*\}[^{}"]*)*\})')


class StreamLimit(Protocol):
    """The limit of a stream."""

    def beyond(self, reported: Usage) -> Refusal | None:
        """Return the refusal that ends a stream with this reported usage, None while it stays within its hold."""


class Meter:
    """Watches one stream.

    Attributes:
        usage: The numbers so far.
        last_passed: When something was last passed on, in monotonic seconds.
        lagging: Whether the caller reads so slowly that the backend may be far ahead of what was seen.
        events: Events with content; about as many as tokens.
        text_bound: An upper bound of the bytes of text in the events.
        ended: Whether the answer reached the end that its protocol marks; a stream without it was cut.
        refused: The refusal that ends the stream, None while it stays within its hold.
        ids: The names under which the backend keeps the response, once it is complete.
    """

    def __init__(self, protocol: WireProtocol, *, keep_usage: bool, running: bool, keep_count: bool = False) -> None:
        """Watch a stream of `protocol`.

        Args:
            protocol: the caller's.
            keep_usage: whether the caller asked for the usage chunk.
            running: whether we asked for a running count in every chunk.
            keep_count: whether the caller asked for that too; if not, it must not see it.
        """
        self.usage = Usage()
        self.last_passed = 0.0
        self.lagging = False
        self.events = 0
        self.text_bound = 0
        self.ended = False
        self.refused: Refusal | None = None
        self.ids: tuple[str, ...] = ()
        self._total = self._whole = self._outdated = False
        self._allowed: StreamLimit | None = None
        self._running = running
        self._strips = running and not keep_count
        self._keep_usage = keep_usage
        self._passed = self._openai if protocol is WireProtocol.OPENAI else self._anthropic

    @property
    def final(self) -> bool:
        """Whether the numbers are final: the backend's total, or its last report of a whole answer."""
        return self._total or (self._whole and not self._outdated and self.usage.output is not None)

    @property
    def counts(self) -> bool:
        """Whether every event reports the usage so far, so that the numbers of a cut stream are its own."""
        return self._running and not self._outdated

    @property
    def most(self) -> int:
        """An upper bound of the tokens of what was seen of the answer, even if every token is one byte."""
        return self.text_bound + UNSEEN

    def limit(self, allowed: StreamLimit) -> None:
        """Set `refused` when the stream goes beyond the limit.

        Only the reported usage counts. Neither events nor bytes are a count of tokens, because servers split tokens,
        collect them, and send audio and images that way.
        """
        self._allowed = allowed

    def complete(self) -> None:
        """Record that the stream is complete, whether or not its protocol marks the end."""
        self._whole = True

    def passed(self, event: Event) -> bytes:
        """Record an event, and return the bytes that the caller gets for it, which may be empty."""
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
        # Quotes inside JSON strings are escaped, so this matches members only, never text of the answer.
        if b'"usage"' in data:
            return self._chunk(event)
        self._carried(data)
        return event.raw

    def _chunk(self, event: Event) -> bytes:
        """Record an event that may report usage."""
        data = event.data
        chunk = reports.loaded(data)
        if isinstance(chunk.get("response"), dict):
            return self._responses(event)
        usage = reports.reported(chunk.get("usage"), WireProtocol.OPENAI)
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
        """Record an event of the Responses protocol; its last one reports the usage."""
        if event.name.endswith(b".delta"):
            self._carried(event.data)
            return event.raw
        content = reports.loaded(event.data)
        kind, response = content.get("type"), content.get("response")
        ends = event.name == b"error" or kind in _ENDS
        self.ended = self.ended or ends
        if isinstance(response, dict):
            usage = reports.reported(response.get("usage"), WireProtocol.OPENAI)
            self._reports(usage, total=ends and usage.output is not None, last=ends)
            if ends:
                self.ids = reports.ids(response)
        return event.raw

    def _anthropic(self, event: Event) -> bytes:
        name = event.name
        if name == b"content_block_delta":
            self._carried(event.data)
        elif name in (b"message_stop", b"error"):
            self.ended = True
        elif name in (b"message_start", b"message_delta"):
            content = reports.loaded(event.data)
            holder = content.get("message") if name == b"message_start" else content
            usage = reports.reported(holder.get("usage") if isinstance(holder, dict) else None, WireProtocol.ANTHROPIC)
            if name == b"message_start":  # its output count is of the beginning only, of no use for a cut stream
                usage = usage._replace(output=None)
            delta = content.get("delta")
            last = isinstance(delta, dict) and delta.get("stop_reason") is not None
            self._reports(usage, total=usage.output is not None, last=last)
        return event.raw

    def _reports(self, usage: Usage, *, total: bool, last: bool) -> None:
        self.usage = self.usage.or_more(usage)
        self._total = self._total or total
        self._outdated = False
        # A stream that has reached its end is not cut for its usage.
        if self._allowed is not None and not last and self.refused is None:
            self.refused = self._allowed.beyond(self.usage)

    def _carried(self, data: bytes, *, reports: bool = False) -> None:
        self.events += 1
        self.text_bound += max(1, len(data) - _FRAME)
        if reports:
            self._total = False
        elif self.usage.output is not None and not self._whole and _text(data):
            # Text came after it, so the last report was not the total.
            self._outdated, self._total = True, False


def _text(data: bytes) -> int:
    """Return the bytes of text in an event of an answer."""
    return sum(
        len(fragment.text.encode(errors="replace")) for fragment in message_texts.of_event(data) if fragment.channel
    )
