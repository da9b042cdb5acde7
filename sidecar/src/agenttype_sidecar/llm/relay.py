"""Passes a backend's answer to the caller: whole, or event by event as it arrives.

An `Inspector` checks the content of an answer; it sees every event before the caller does.
"""

import time
from typing import Final, Protocol

from agenttype_proxy import asgi
from agenttype_proxy.errors import UpstreamReset
from agenttype_proxy.messages import Headers
from agenttype_proxy.response import Response
from agenttype_proxy.sse import Event, EventReader

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.llm.meter import Meter

MAX_ANSWER: Final = 64 * 1024 * 1024
MAX_EVENT: Final = 8 * 1024 * 1024
#: A caller whose writes took this long in all reads more slowly than its backend writes.
LAG_SECONDS: Final = 0.1
#: A write that takes no longer than this did not wait for the caller.
_PROMPT_SECONDS: Final = 0.002


class Inspector(Protocol):
    """Checks an answer before the caller gets it.

    By raising a `Refusal` it holds back the event, and everything after it.
    """

    def event(self, event: Event) -> None:
        """Look at the next event of a stream."""


class Relay:
    """The answer to one call.

    Attributes:
        first_byte: Seconds from the call's arrival to the first byte of its answer; None before.
        started: Whether the head of a stream has been sent, after which no other answer can be given. It is sent with
            the first event, so that until then another backend can still answer.
        opening: The data of the stream's first event.
    """

    def __init__(self, send: asgi.Send, began: float) -> None:
        """Answer through `send` a call that arrived at `began`, in monotonic seconds."""
        self.first_byte: float | None = None
        self.started = False
        self.opening = b""
        self._head: tuple[int, Headers] | None = None
        self._send = send
        self._began = began
        self._behind = 0.0

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Pass a whole answer."""
        self.first_byte = time.monotonic() - self._began
        await asgi.respond(self._send, status, headers, body)

    async def stream(self, response: Response, headers: Headers, meter: Meter, inspector: Inspector | None) -> None:
        """Pass a stream as it arrives, except its end: `finish` is called once the call is settled.

        Raises:
            UpstreamError: The backend broke it off.
            Refusal: The inspector refuses the rest.
        """
        self._head = response.status, headers
        reader = EventReader(MAX_EVENT)
        async for chunk in response.chunks():
            await self._pass(reader.feed(chunk), meter, inspector)
        await self._pass(reader.flush(), meter, inspector)
        if not meter.ended:
            # If only the end of the connection ends a body, a cut looks like an end; the protocol's own end mark does
            # not.
            raise UpstreamReset("the stream ended before its answer did")

    async def finish(self, ending: bytes = b"") -> None:
        """End a stream, with some last bytes of ours if there are any."""
        await self._start()
        if ending:
            await asgi.write(self._send, ending)
        await asgi.finish(self._send)

    async def _write(self, out: bytes, meter: Meter) -> None:
        meter.last_passed = began = time.monotonic()
        try:
            await asgi.write(self._send, out)
        finally:
            waited = time.monotonic() - began
            if waited > _PROMPT_SECONDS:
                self._behind += waited
                meter.lagging = meter.lagging or self._behind > LAG_SECONDS

    async def _start(self) -> None:
        if self._head is not None and not self.started:
            self.started = True
            await asgi.start(self._send, *self._head)

    async def _pass(self, events: list[Event], meter: Meter, inspector: Inspector | None) -> None:
        passed, refused = meter.passed, None
        if inspector is None:
            out = b"".join([passed(event) for event in events])
        else:
            parts = []
            for event in events:
                part = passed(event)  # what was produced counts, even if it is not passed on
                try:
                    inspector.event(event)
                except Refusal as refusal:
                    refused = refusal
                    break
                parts.append(part)
            out = b"".join(parts)
        refused = refused or meter.refused
        if out:
            if self.first_byte is None:
                self.first_byte = time.monotonic() - self._began
                self.opening = events[0].data
                await self._start()
            await self._write(out, meter)
        if refused is not None:
            raise refused
