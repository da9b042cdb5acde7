"""Sends one call: where it goes, whether it is sent again or elsewhere, and what every attempt costs.

Each attempt that may have cost something has its own hold. An attempt that was not sent, or that its backend refused
before it began to work, costs nothing. Once the caller has a part of an answer, there is no further attempt.
"""

import asyncio
from typing import Final, NamedTuple

from agenttype_api import keys, quantities
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_api.v1alpha1 import FallbackReason
from agenttype_proxy import errors
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers
from agenttype_proxy.response import Response

from agenttype_sidecar.backends import retry_rule
from agenttype_sidecar.backends.breaker import Breaker
from agenttype_sidecar.backends.retry_rule import BROKEN, Attempts, Failure, NextAttempt
from agenttype_sidecar.budget.amounts import NOTHING
from agenttype_sidecar.budget.balances import HoldState
from agenttype_sidecar.budget.reservation import Grant
from agenttype_sidecar.errors import BackendBroken, BackendWarming, CertificateRefused, UpstreamFailed
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.llm.metrics import CallLabels
from agenttype_sidecar.llm.services import Services
from agenttype_sidecar.llm.settlement import Settlement
from agenttype_sidecar.llm.upstream import request
from agenttype_sidecar.llm.usage import Cost
from agenttype_sidecar.policy.policies import Active
from agenttype_sidecar.routing.routes import Target

_REASON: Final = keys.HEADER_REASON.encode()
_WARMING: Final = RefusalReason.WARMING.encode()
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_SERVER_ERROR: Final = 500
_AWAY: Final = (Failure.CONNECT, Failure.WARMING)


class Caller(NamedTuple):
    """What a caller sent besides its body: header fields, and the query string as it came."""

    headers: Headers
    query: bytes


class _FailedAttempt(NamedTuple):
    """A failed attempt, with the answer or the error that goes to the caller."""

    failure: Failure
    response: Response | None = None
    error: Exception | None = None


class Dispatch:
    """One call's attempts.

    Attributes:
        call: The call, aimed at the current backend.
        labels: The labels of the current target.
        grant: What it was granted; None before it was admitted.
        settlement: The settlement of the current attempt; None before the first.
        attempts: How often it was sent.
    """

    def __init__(self, services: Services, active: Active, call: LlmCall, caller: Caller) -> None:
        """Choose where the call goes first; nothing is held or sent yet."""
        self._services = services
        self._active = active
        self._caller = caller
        self._targets = self._attempts(call)
        self._settlements: list[Settlement] = []
        self.call = calls.aimed(call, self._targets.target)
        self.labels = _labels(self.call)
        self.grant: Grant | None = None
        self.settlement: Settlement | None = None
        self.attempts = 0

    @property
    def cost(self) -> Cost | None:
        """What all attempts were charged, None before any was charged; the source is the last one's."""
        if len(self._settlements) == 1:  # as almost always
            return self._settlements[0].cost
        costs = [each.cost for each in self._settlements if each.cost is not None]
        if not costs:
            return None
        total = NOTHING
        for cost in costs:
            total = total.plus(cost.amounts)
        return Cost(total, costs[-1].source)

    async def send(self) -> Response:
        """Send the call until something answers, and return the head of the answer.

        Raises:
            Refusal: It was not admitted, or cannot be sent.
            UpstreamError: It failed after it was sent.
        """
        if self.settlement is None:
            await self._admit()
        while True:
            outcome = await self._attempt()
            if isinstance(outcome, Response):
                return outcome
            next_attempt = self._next(outcome)
            if next_attempt is not None:
                await self._go_on(outcome, next_attempt)
            elif outcome.response is not None:
                return outcome.response
            elif outcome.error is not None:
                raise outcome.error

    async def broke(self, error: errors.UpstreamError) -> bool:
        """Prepare to `send` again after an answer that broke off; return False if there is no further target.

        Only for an answer of which nothing has reached the caller.

        Raises:
            Refusal: Another attempt was not admitted.
        """
        failure = _failure_of_error(error)
        if failure is None:
            return False
        breakers = self._services.breakers
        breakers.breaker(self.call.target.backend.name).failed(breakers.clock())
        outcome = _FailedAttempt(failure, None, error)
        next_attempt = self._next(outcome)
        if next_attempt is not None:
            await self._go_on(outcome, next_attempt)
        return next_attempt is not None

    def settle(self) -> None:
        """Charge the current attempt, or give back what it holds; a second call changes nothing."""
        if self.settlement is not None:
            self.settlement.settle(self.labels)

    # targets

    def _attempts(self, call: LlmCall) -> Attempts:
        first, protocol = call.target, call.endpoint.protocol
        if self._services.stored_responses.owner(call) is not None:  # only this backend keeps what the call builds on
            first = Target(first.route, first.backend)
        warm_up = quantities.seconds(self._active.policy.timeouts.warm_up_ms)
        return self._services.breakers.attempts(first, protocol, warm_up, is_low=self._is_low(first))

    def _is_low(self, first: Target) -> bool:
        """Return whether a limit is spent so far that a fallback for a low budget goes first."""
        if not any(FallbackReason.BUDGET_LOW in fallback.when for fallback in first.fallback):
            return False
        budget = self._active.policy.budget
        return any(row.warning for row in self._services.limit_status.rows(budget.limits, budget.warn_at_percent))

    def _next(self, outcome: _FailedAttempt) -> NextAttempt | None:
        asked = fields.get(outcome.response.headers, b"retry-after") if outcome.response is not None else None
        return self._targets.after(outcome.failure, self._services.breakers.clock(), asked)

    async def _go_on(self, outcome: _FailedAttempt, next_attempt: NextAttempt) -> None:
        """Settle a failed attempt, and prepare the next one."""
        former, failure, settlement = self.call.target, outcome.failure, self.settled
        moves = next_attempt.target is not former
        if outcome.response is not None:
            outcome.response.abort()
        if moves:
            if outcome.response is not None:
                settlement.failed(outcome.response)
            self.settle()
        elif settlement.hold.state is HoldState.DISPATCHED:
            self._services.ledger.recall(settlement.hold)
        if moves and not next_attempt.pause:
            self._services.breakers.fell_back(former, next_attempt.target, retry_rule.reason_of(failure))
        else:
            self._services.breakers.retried(next_attempt.target, failure)
            await asyncio.sleep(next_attempt.pause)
        if moves:
            self.call = calls.aimed(self.call, next_attempt.target)
            self.labels = _labels(self.call)
            await self._admit()

    async def _admit(self) -> None:
        self.grant, hold = await self._services.admission.admit(self.call, self._active)
        self.settlement = Settlement(self._services, self._active, self.call, hold)
        self._settlements.append(self.settlement)

    @property
    def settled(self) -> Settlement:
        """The settlement of the current attempt; the call must have been admitted."""
        if self.settlement is None:
            raise RuntimeError("the call was not admitted")
        return self.settlement

    @property
    def granted(self) -> Grant:
        """What the call was granted; it must have been admitted."""
        if self.grant is None:
            raise RuntimeError("the call was not admitted")
        return self.grant

    # one attempt

    async def _attempt(self) -> Response | _FailedAttempt:
        breakers = self._services.breakers
        breaker = breakers.breaker(self.call.target.backend.name)
        now = breakers.clock()
        if not breaker.admits(now):
            message = "the model's backend failed too often recently and gets no calls for some seconds"
            return _FailedAttempt(Failure.CIRCUIT_OPEN, None, BackendBroken(message, breaker.wait(now)))
        outcome = None
        try:
            outcome = await self._sent()
        finally:
            self._report(breaker, outcome)
        return outcome

    def _report(self, breaker: Breaker, outcome: Response | _FailedAttempt | None) -> None:
        """Report to the breaker; except that a call without another target waits for an unreachable backend itself."""
        if isinstance(outcome, Response):
            breaker.succeeded(self._services.breakers.clock())
        elif outcome is None or (outcome.failure in _AWAY and not self._targets.has_others):
            breaker.forgotten()
        elif outcome.failure in BROKEN:
            breaker.failed(self._services.breakers.clock())
        else:
            breaker.succeeded(self._services.breakers.clock())

    async def _sent(self) -> Response | _FailedAttempt:
        call = self.call
        body = calls.rewritten(call, self.granted)
        outgoing = request(call, self._active, body, self._caller.headers, self._caller.query)
        self.attempts += 1
        try:
            response = await self._services.upstream.send(call, self._active, self.settled.hold, outgoing)
        except CertificateRefused as refusal:
            return _FailedAttempt(Failure.CERTIFICATE, None, refusal)
        except errors.UpstreamError as error:
            return self._failed(error)
        if response.status == _UNAVAILABLE and fields.get(response.headers, _REASON) == _WARMING:
            response.abort()
            self._services.ledger.recall(self.settled.hold)
            return _FailedAttempt(Failure.WARMING, None, _warming())
        failure = _failure_of(response.status)
        return response if failure is None else _FailedAttempt(failure, response)

    def _failed(self, error: errors.UpstreamError) -> _FailedAttempt:
        if isinstance(error, errors.ConnectFailed | errors.ConnectTimeout):
            return _FailedAttempt(Failure.CONNECT, None, _warming())
        if not error.dispatched:
            raise UpstreamFailed("the call cannot be sent to the model's backend") from error
        failure = _failure_of_error(error)
        if failure is None:
            raise error
        return _FailedAttempt(failure, None, error)


def _labels(call: LlmCall) -> CallLabels:
    target = call.target
    return CallLabels(target.model, target.adapter, call.endpoint.protocol)


def _failure_of_error(error: errors.UpstreamError) -> Failure | None:
    """Return an error as a failure for the next attempt, None if it allows no further attempt."""
    match error:
        case errors.TotalTimeout() | errors.ResponseTooLarge():  # no time is left, or it would be too large again
            return None
        case errors.FirstByteTimeout() | errors.IdleTimeout():
            return Failure.TIMEOUT
        case _:
            return Failure.RESET


def _failure_of(status: int) -> Failure | None:
    if status == _TOO_MANY:
        return Failure.RATE_LIMITED
    if status == _UNAVAILABLE:
        return Failure.UNAVAILABLE
    return Failure.SERVER_ERROR if status >= _SERVER_ERROR else None


def _warming() -> BackendWarming:
    return BackendWarming("the model is not ready yet; its backend is starting or cannot be reached")
