"""One LLM call, from its first byte to its last: admit, rewrite, forward, meter, settle."""

import time
from dataclasses import dataclass
from typing import Final

from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy import asgi, errors
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers
from agenttype_proxy.response import Response
from agenttype_proxy.sse import EventReader

from agenttype_sidecar.backends.upstream import Upstream, request
from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.admission import Admission
from agenttype_sidecar.budget.book import Hold, State
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import Grant
from agenttype_sidecar.errors import (
    BodyTimedOut,
    BodyTooLarge,
    MalformedBody,
    Refusal,
    UpstreamFailed,
    UpstreamTimedOut,
)
from agenttype_sidecar.llm import answers, usage
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.call import Call
from agenttype_sidecar.llm.paths import Endpoint
from agenttype_sidecar.llm.usage import Cost, Meter, Source, Usage
from agenttype_sidecar.policies import Active, Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.metrics import Lane, Metrics
from agenttype_sidecar.reports.observations import CallRecord, Observations, lines

MAX_BODY: Final = 8 * 1024 * 1024
BODY_SECONDS: Final = 30.0
MAX_ANSWER: Final = 64 * 1024 * 1024
MAX_EVENT: Final = 8 * 1024 * 1024

_REMAINING: Final = keys.HEADER_REMAINING.encode()
_LIMIT: Final = keys.HEADER_LIMIT.encode()
_CLAMPED: Final = (keys.HEADER_CLAMPED.encode(), b"max_tokens")
_REASON: Final = keys.HEADER_REASON.encode()
_OK: Final = 200
_REDIRECTION: Final = 300
_SERVER_ERROR: Final = 500
_GONE: Final = 499
_EVENTS: Final = b"text/event-stream"


@dataclass(frozen=True, slots=True)
class Parts:
    """What every call uses."""

    policies: Policies
    ledger: Ledger
    upstream: Upstream
    admission: Admission
    metrics: Metrics
    activity: Activity
    observations: Observations


class Visit:
    """One call on its way; `answer` is the way.

    Whatever happens, the call is settled once: before its answer ends, so that whoever has read an answer finds it
    in the books, and at the latest when the visit ends.
    """

    def __init__(self, parts: Parts, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        self._parts = parts
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.monotonic()
        self._first_byte: float | None = None
        self._active: Active = parts.policies.active
        self._lane = Lane()
        self._hold: Hold | None = None
        self._call: Call | None = None
        self._grant: Grant | None = None
        self._meter: Meter | None = None
        self._known: Cost | None = None
        self._cost: Cost | None = None
        # Until something else is known: whoever ends us in the middle leaves the caller without an answer.
        self._outcome, self._status, self._reason = "cut", _GONE, "ended"

    async def answer(self, endpoint: Endpoint) -> None:
        """Answer the call."""
        self._lane = Lane(protocol=endpoint.protocol)
        self._parts.activity.begin(self._began)
        try:
            call = self._call = await self._admit(endpoint)
            async with asgi.attended(self._receive):
                grant, hold = self._grant, self._hold = await self._parts.admission.admit(call, self._active)
                await self._forward(call, grant, hold)
        except Refusal as refusal:
            await self._refuse(refusal, endpoint.protocol)
        except errors.CallerGone:
            self._ended("caller_gone", _GONE, "caller_gone")
        finally:
            self._settle()
            self._note(endpoint)

    # admit

    async def _admit(self, endpoint: Endpoint) -> Call:
        try:
            raw = await asgi.read_body(self._receive, limit=MAX_BODY, timeout=BODY_SECONDS)
        except errors.BodyTooLarge as error:
            raise BodyTooLarge(f"the body is larger than {MAX_BODY} bytes") from error
        except errors.BodyTimeout as error:
            raise BodyTimedOut("the body did not arrive in time") from error
        codings = fields.every(self._scope["headers"], b"content-encoding")
        if any(coding != b"identity" for coding in codings):
            raise MalformedBody("the body must not be compressed")
        call = calls.read(endpoint, Body(raw), self._active.routes)
        self._lane = Lane(call.target.model, call.target.adapter, endpoint.protocol)
        return call

    # forward

    async def _forward(self, call: Call, grant: Grant, hold: Hold) -> None:
        caller, query = self._scope["headers"], self._scope["query_string"]
        outgoing = request(call, self._active, calls.rewritten(call, grant), caller, query)
        begun = False
        try:
            response = await self._parts.upstream.send(call, self._active, hold, outgoing)
            async with response:
                if _is_good(response) and (fields.get(response.headers, b"content-type") or b"").startswith(_EVENTS):
                    begun = True
                    await self._stream(call, grant, response)
                else:
                    await self._whole(call, response)
        except errors.UpstreamError as error:
            if begun:
                # A clean end would pass for a whole answer; SDKs notice a broken connection only.
                self._ended("cut", _OK, _name(error))
                self._settle()
                asgi.abort(self._scope)
                return
            raise _refusal_of(error) from error

    async def _whole(self, call: Call, response: Response) -> None:
        body = await response.read(MAX_ANSWER)
        status = response.status
        if _is_good(response):
            self._ended("ok", status, "")
            reported = usage.of_body(body, call.endpoint.protocol)
            self._know(call, reported, final=True)
        else:
            self._ended("upstream_error", status, f"upstream_{status}")
            self._know_failure(response)
        self._settle()
        self._first_byte = time.monotonic() - self._began
        await asgi.respond(self._send, status, self._headers(response), body)

    async def _stream(self, call: Call, grant: Grant, response: Response) -> None:
        running = calls.counts_running(call, grant) and not call.keeps_count
        meter = self._meter = Meter(call.endpoint.protocol, keep_usage=call.keeps_usage, running=running)
        reader = EventReader(MAX_EVENT)
        passed, send = meter.passed, self._send
        await asgi.start(send, response.status, self._headers(response))
        async for chunk in response.chunks():
            out = b"".join([passed(event) for event in reader.feed(chunk)])
            if out:
                if self._first_byte is None:
                    self._first_byte = time.monotonic() - self._began
                await asgi.write(send, out)
        rest = b"".join([passed(event) for event in reader.flush()])
        if rest:
            await asgi.write(send, rest)
        self._settle()
        self._ended("ok", _OK, "")
        await asgi.finish(send)

    def _headers(self, response: Response) -> Headers:
        kept = fields.without(fields.forwardable(response.headers), b"content-length", b"set-cookie")
        tightest = _tightest(self._active, self._parts.ledger)
        if tightest is not None:
            kept += ((_LIMIT, tightest.limit.name.encode()), (_REMAINING, b"%d" % tightest.remaining))
        if self._grant is not None and self._grant.clamped:
            kept.append(_CLAMPED)
        return kept

    # meter

    def _know(self, call: Call, reported: Usage, *, final: bool, pieces: int = 0) -> None:
        """Work out what the call costs from what is known of it."""
        hold = self._hold
        if hold is not None and self._active.counts_tokens:
            self._known = usage.cost(reported, hold.amounts, final=final)
        else:
            self._known = usage.estimate(reported, call.body.size, pieces, final=final)

    def _know_failure(self, response: Response) -> None:
        """Charge the prompt where the engine broke while it worked; nothing where the call was turned down."""
        turned_down = response.status < _SERVER_ERROR or fields.get(response.headers, _REASON) is not None
        if turned_down:
            self._known = Cost(reservation.NOTHING, Source.PROVIDER)
        elif self._hold is not None:
            self._known = Cost(self._hold.amounts._replace(output=0), Source.RESERVED)

    # settle

    def _settle(self) -> None:
        hold, call = self._hold, self._call
        if hold is None or call is None or hold.state is State.CLOSED:
            return
        ledger, metrics = self._parts.ledger, self._parts.metrics
        if hold.state is State.RESERVED:
            ledger.release(hold)
            self._parts.admission.freed.tell()
            return
        if self._known is None:
            meter = self._meter
            if meter is None:
                self._know(call, Usage(), final=False)
            else:
                self._know(call, meter.usage, final=meter.final, pieces=meter.pieces)
        cost = self._known
        if cost is not None and ledger.settle(hold, cost.amounts):
            self._cost = cost
            self._parts.admission.freed.tell()
            metrics.charged(self._lane, cost)
            if cost.amounts.input > hold.amounts.input or cost.amounts.output > hold.amounts.output:
                metrics.overspent(lines(self._active.limits, ledger))

    async def _refuse(self, refusal: Refusal, protocol: WireProtocol) -> None:
        self._settle()
        status, headers, body = answers.refusal(refusal, protocol)
        outcome = "upstream_error" if isinstance(refusal, UpstreamFailed | UpstreamTimedOut) else "refused"
        self._ended(outcome, status, refusal.reason)
        if outcome == "refused":
            self._parts.metrics.refused(refusal.reason)
        await asgi.respond(self._send, status, headers, body)

    def _ended(self, outcome: str, status: int, reason: str) -> None:
        self._outcome, self._status, self._reason = outcome, status, reason

    def _note(self, endpoint: Endpoint) -> None:
        now = time.monotonic()
        parts, cost, hold = self._parts, self._cost, self._hold
        parts.activity.end(now)
        parts.metrics.answered(self._lane, self._outcome, self._status)
        if hold is not None:
            parts.metrics.timed(self._lane, now - self._began, self._first_byte)
        parts.observations.noted(
            CallRecord(
                at=time.time(),
                path=endpoint.path.decode(),
                model=self._lane.model,
                adapter=self._lane.adapter,
                protocol=endpoint.protocol.value,
                outcome=self._outcome,
                status=self._status,
                reason=self._reason,
                input=cost.amounts.input if cost else 0,
                output=cost.amounts.output if cost else 0,
                usage_source=cost.source.value if cost else "",
                seconds=now - self._began,
                first_byte=self._first_byte,
                clamped=self._grant is not None and self._grant.clamped,
                attempts=hold.attempt if hold else 0,
            )
        )


def _tightest(active: Active, ledger: Ledger) -> reservation.Line | None:
    """Return the line of the budget that has the smallest share left."""
    return min(
        lines(active.limits, ledger),
        key=lambda line: line.remaining / line.limit.max if line.limit.max else 0,
        default=None,
    )


def _is_good(response: Response) -> bool:
    return _OK <= response.status < _REDIRECTION


def _refusal_of(error: errors.UpstreamError) -> Refusal:
    if isinstance(error, errors.FirstByteTimeout | errors.IdleTimeout | errors.TotalTimeout):
        return UpstreamTimedOut("the model's backend did not answer in time")
    return UpstreamFailed("the model's backend broke off before it had answered")


def _name(error: errors.UpstreamError) -> str:
    """Name an error of the wire: upstream_reset, idle_timeout and so on."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__).lstrip("_")
