"""One LLM call, from its first byte to its last.

admit → rewrite → forward → meter → settle → note. `relay` passes the answer to the caller, `settlement` charges it.
"""

import asyncio
import math
import time
from typing import Final

from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy import asgi, errors
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers
from agenttype_proxy.response import Response

from agenttype_sidecar.budget.amounts import NOTHING
from agenttype_sidecar.budget.reservation import BudgetLine, BudgetLines
from agenttype_sidecar.errors import (
    BodyTimedOut,
    BodyTooLarge,
    MalformedBody,
    Refusal,
    UpstreamFailed,
    UpstreamTimedOut,
)
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm import error_responses, policy_rules, unmeterable, usage
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.llm.dispatch import Caller, Dispatch
from agenttype_sidecar.llm.meter import Meter
from agenttype_sidecar.llm.metrics import CallLabels
from agenttype_sidecar.llm.paths import Endpoint, Operation
from agenttype_sidecar.llm.relay import MAX_ANSWER, Relay
from agenttype_sidecar.llm.services import Services
from agenttype_sidecar.ratelimit.rates import RatePermit, TokenEstimate
from agenttype_sidecar.telemetry.call_log import CallRecord

MAX_BODY: Final = 8 * 1024 * 1024
BODY_SECONDS: Final = 30.0
#: How long a caller may take to read the last events of a stream that we end.
ENDING_SECONDS: Final = 2.0

_REMAINING: Final = keys.HEADER_REMAINING.encode()
_LIMIT: Final = keys.HEADER_LIMIT.encode()
_RESET: Final = keys.HEADER_RESET.encode()
_ROUTE: Final = keys.HEADER_ROUTE.encode()
_REASON: Final = keys.HEADER_REASON.encode()
_OURS: Final = b"x-agenttype-"
_CLAMPED: Final = (keys.HEADER_CLAMPED.encode(), b"max_tokens")
_OK: Final = 200
_REDIRECTION: Final = 300
_CLIENT_ERROR: Final = 400
_GONE: Final = 499
_EVENTS: Final = b"text/event-stream"
#: The labels of a call until its route is known.
_UNROUTED: Final = {protocol: CallLabels(protocol=protocol) for protocol in WireProtocol}
#: Hop-by-hop fields, and fields that an agent does not need.
_WITHHELD: Final = fields.HOP_BY_HOP | {b"content-length", b"set-cookie"}


class CallHandler:
    """Handles one call; `answer` runs its steps.

    In every case the call is settled exactly once: before its answer ends, so that a caller that has read its answer
    also sees it in the budget, and at the latest when the handler ends.
    """

    def __init__(self, services: Services, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        self._services = services
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.monotonic()
        self._active = services.policies.active
        self._relay = Relay(send, self._began)
        self._dispatch: Dispatch | None = None
        self._rate_permit: RatePermit | None = None
        # The outcome if the handler is ended in the middle: the caller gets no answer.
        self._outcome, self._status, self._reason = "cut", _GONE, "ended"
        self._settled = False

    async def answer(self, endpoint: Endpoint) -> None:
        """Answer the call."""
        self._labels = _UNROUTED[endpoint.protocol]
        self._services.activity.begin(self._began)
        try:
            call = await self._read(endpoint)
            with self._services.cancellation.cancellable():
                async with asgi.cancel_on_disconnect(self._receive):
                    dispatch = await self._admit(call)
                    await self._forward(dispatch)
        except Refusal as refusal:
            await self._refuse(refusal, endpoint)
        except errors.CallerGone:
            self._ended("caller_gone", _GONE, "caller_gone")
        finally:
            self._settle()
            self._note(endpoint)

    # admit

    async def _read(self, endpoint: Endpoint) -> LlmCall:
        try:
            raw = await asgi.read_body(self._receive, limit=MAX_BODY, timeout=BODY_SECONDS)
        except errors.BodyTooLarge as error:
            raise BodyTooLarge(f"the body is larger than {MAX_BODY} bytes") from error
        except errors.BodyTimeout as error:
            raise BodyTimedOut("the body did not arrive in time") from error
        if fields.is_encoded(self._scope["headers"]):
            raise MalformedBody("the body must not be compressed")
        call = self._aim_at_owner(calls.read(endpoint, Body(raw), self._active.routes))
        self._labels = CallLabels(call.target.model, call.target.adapter, endpoint.protocol)
        unmeterable.check(call, self._active)
        self._services.stored_responses.check(call)
        policy_rules.check_request(call, self._active, self._services.violations)
        return call

    def _aim_at_owner(self, call: LlmCall) -> LlmCall:
        """Aim a call that builds on a fallback's answer at that fallback, because no other backend has that answer."""
        owner = self._services.stored_responses.owner(call)
        if owner is None or owner == call.target.backend.name:
            return call
        found = (fallback.target for fallback in call.target.fallback if fallback.target.backend.name == owner)
        return calls.aimed(call, next(found, call.target))

    async def _admit(self, call: LlmCall) -> Dispatch:
        """Wait for the rate limits, and choose where the call goes first."""
        wanted = (
            TokenEstimate(0, 0)
            if call.is_free
            else TokenEstimate(call.body.size, call.output and call.output * call.answers)
        )
        self._rate_permit = await self._services.rates.admit(self._active.policy.rate_limits, wanted)
        caller = Caller(self._scope["headers"], self._scope["query_string"])
        self._dispatch = Dispatch(self._services, self._active, call, caller)
        return self._dispatch

    # forward

    async def _forward(self, dispatch: Dispatch) -> None:
        """Send the call and pass the answer on; retry an answer that breaks off before the caller has any of it."""
        while True:
            try:
                response = await dispatch.send()
            except errors.UpstreamError as error:
                raise _refusal_of(error) from error
            try:
                await self._pass_on(dispatch, response)
            except errors.UpstreamError as error:
                if self._relay.started:
                    # A clean end would look like a whole answer; SDKs only notice a broken connection.
                    self._ended("cut", _OK, _name(error))
                    dispatch.settled.stopped(error)
                    self._settle()
                    asgi.abort(self._scope)
                elif await dispatch.broke(error):
                    continue
                else:
                    raise _refusal_of(error) from error
            return

    async def _pass_on(self, dispatch: Dispatch, response: Response) -> None:
        async with response:
            if fields.is_encoded(response.headers):
                raise UpstreamFailed("the model's backend answered in an encoding that was not requested")
            kind = (fields.get(response.headers, b"content-type") or b"").lower()
            if _is_good(response) and kind.startswith(_EVENTS):
                await self._stream(dispatch, response)
            else:
                await self._whole(dispatch, response)

    async def _whole(self, dispatch: Dispatch, response: Response) -> None:
        body = await response.read(MAX_ANSWER)
        status, call, settlement = response.status, dispatch.call, dispatch.settled
        if _is_good(response):
            self._ended("ok", status, "")
            settlement.answered(body, call.endpoint.protocol)
            policy_rules.check_answer(body, call, self._active, self._services.violations)
            if call.endpoint.operation is Operation.RESPONSES:
                self._services.stored_responses.remember(call, usage.ids_of_body(body))
        else:
            self._ended("upstream_error", status, f"upstream_{status}")
            settlement.failed(response, body)
            if status < _CLIENT_ERROR:  # passed on, it would make the agent's client call past the sidecar
                raise UpstreamFailed(
                    "the model's backend answered with a redirection, and redirections are not followed"
                )
        self._settle()
        await self._relay.whole(status, self._headers(dispatch, response), body)

    async def _stream(self, dispatch: Dispatch, response: Response) -> None:
        call = dispatch.call
        meter = dispatch.settled.meter = Meter(
            call.endpoint.protocol,
            keep_usage=call.keeps_usage,
            running=calls.counts_running(call, dispatch.granted),
            keep_count=call.keeps_count,
        )
        if self._active.counts_tokens:
            meter.limit(dispatch.settled)
        inspector = policy_rules.inspector(call, self._active, self._services.violations)
        await self._relay.stream(response, self._headers(dispatch, response), meter, inspector)
        meter.complete()
        self._services.stored_responses.remember(call, meter.ids)
        self._settle()
        self._ended("ok", _OK, "")
        await self._relay.finish()

    def _headers(self, dispatch: Dispatch, response: Response) -> Headers:
        rates = self._services.rates.headers(dispatch.call.endpoint.protocol)
        said = [name for name, _ in rates]
        said += fields.named_by_connection(response.headers)
        # A backend must not set our headers for rates, budget and route; a gate may set its reasons.
        kept = [
            field
            for field in response.headers
            if field[0] not in _WITHHELD
            and field[0] not in said
            and (not field[0].startswith(_OURS) or field[0] == _REASON)
        ]
        kept += ((_ROUTE, dispatch.call.target.name.encode()), *rates)
        tightest = _tightest(self._services.limit_status.lines(self._active.limits))
        if tightest is not None:
            kept += ((_LIMIT, tightest.limit.name.encode()), (_REMAINING, b"%d" % tightest.remaining))
            reset = self._services.limit_status.resets_in(tightest.limit)
            if reset is not None:
                kept.append((_RESET, b"%d" % math.ceil(reset)))
        if dispatch.granted.clamped:
            kept.append(_CLAMPED)
        return kept

    # settle

    def _settle(self) -> None:
        if self._settled:
            return
        dispatch, tokens, output = self._dispatch, 0, 0
        if dispatch is not None:
            dispatch.settle()
            self._labels = dispatch.labels
            cost = dispatch.cost
            if cost is not None:
                amounts = cost.amounts
                tokens, output = amounts.input + amounts.output, amounts.output
        if self._rate_permit is not None:
            self._rate_permit.end(tokens, output)
        self._settled = True

    async def _refuse(self, refusal: Refusal, endpoint: Endpoint) -> None:
        self._settle()
        if self._relay.started:
            await self._break_off(refusal, endpoint)
            return
        status, headers, body = error_responses.refusal(refusal, endpoint.protocol)
        headers += self._services.rates.headers(endpoint.protocol)
        self._ended(refusal.outcome, status, refusal.reason)
        if refusal.outcome == "refused":
            self._services.metrics.refused(refusal.reason)
        await asgi.respond(self._send, status, headers, body)

    async def _break_off(self, refusal: Refusal, endpoint: Endpoint) -> None:
        """End a running stream with an error in its protocol."""
        self._ended("cut", _OK, refusal.reason)
        self._services.metrics.refused(refusal.reason)
        try:
            async with asyncio.timeout(ENDING_SECONDS):
                await self._relay.finish(error_responses.ending(refusal, endpoint, self._relay.opening))
        except TimeoutError:
            asgi.abort(self._scope)

    def _ended(self, outcome: str, status: int, reason: str) -> None:
        self._outcome, self._status, self._reason = outcome, status, reason

    # note

    def _note(self, endpoint: Endpoint) -> None:
        now = time.monotonic()
        services, dispatch, first_byte = self._services, self._dispatch, self._relay.first_byte
        cost = dispatch.cost if dispatch else None
        amounts = cost.amounts if cost else NOTHING
        services.activity.end(now)
        services.llm_metrics.answered(self._labels, self._outcome, self._status)
        if dispatch is not None and dispatch.settlement is not None:
            services.llm_metrics.timed(self._labels, now - self._began, first_byte)
        services.call_log.note(
            CallRecord(
                at=time.time(),
                path=endpoint.label,
                model=self._labels.model,
                adapter=self._labels.adapter,
                protocol=endpoint.protocol,
                outcome=self._outcome,
                status=self._status,
                reason=self._reason,
                input=amounts.input,
                output=amounts.output,
                cost=amounts.cost,
                usage_source=cost.source if cost else "",
                seconds=now - self._began,
                first_byte=first_byte,
                clamped=dispatch is not None and dispatch.grant is not None and dispatch.grant.clamped,
                attempts=dispatch.attempts if dispatch else 0,
            )
        )


def _tightest(lines: BudgetLines) -> BudgetLine | None:
    """Return the budget line with the smallest share left."""
    if len(lines) == 1:
        return lines[0]
    return min(lines, key=lambda line: line.remaining / line.limit.max if line.limit.max else 0, default=None)


def _is_good(response: Response) -> bool:
    return _OK <= response.status < _REDIRECTION


def _refusal_of(error: errors.UpstreamError) -> Refusal:
    if isinstance(error, errors.FirstByteTimeout | errors.IdleTimeout | errors.TotalTimeout):
        return UpstreamTimedOut("the model's backend did not answer in time")
    return UpstreamFailed("the model's backend broke off before it had answered")


def _name(error: errors.UpstreamError) -> str:
    """Return the name of a wire error: upstream_reset, idle_timeout and so on."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__).lstrip("_")
