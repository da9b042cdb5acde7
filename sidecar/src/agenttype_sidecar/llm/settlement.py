"""Computes what one call costs, as far as it is known, and charges it once."""

import math
import time
from typing import Final

from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy import headers as fields
from agenttype_proxy.errors import TotalTimeout, UpstreamError
from agenttype_proxy.response import Response

from agenttype_sidecar.budget import prices
from agenttype_sidecar.budget.amounts import NOTHING, Amounts
from agenttype_sidecar.budget.balances import Hold, HoldState
from agenttype_sidecar.budget.prices import Tokens
from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.llm import usage
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.llm.meter import Meter
from agenttype_sidecar.llm.metrics import CallLabels
from agenttype_sidecar.llm.services import Services
from agenttype_sidecar.llm.usage import Cost, Source, Usage
from agenttype_sidecar.policy.policies import Active

_REASON: Final = keys.HEADER_REASON.encode()
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_FREE: Final = Cost(NOTHING, Source.PROVIDER)


class Settlement:
    """The settlement of one admitted call; settling a second time changes nothing.

    Attributes:
        call: The call as it was sent.
        hold: What is held for it.
        meter: The meter of its stream; None for a whole answer.
        cost: What was charged; None until then.
    """

    def __init__(self, services: Services, active: Active, call: LlmCall, hold: Hold) -> None:
        self.call = call
        self.hold = hold
        self.meter: Meter | None = None
        self.cost: Cost | None = None
        self._services = services
        self._active = active
        self._known: Cost | None = None
        self._stopped = False

    def answered(self, body: bytes, protocol: WireProtocol) -> None:
        """Record the usage that a whole answer reports."""
        self._know(usage.of_body(body, protocol), final=True)

    def stopped(self, error: UpstreamError) -> None:
        """Record that the backend broke the stream off itself, and writes no more of it."""
        self._stopped = not isinstance(error, TotalTimeout)

    def beyond(self, reported: Usage) -> Refusal | None:
        """Return the refusal that ends a stream with this reported usage, None while it stays within its hold.

        A prompt that is longer than expected does not end it: the prompt is already spent, and the answer is what it
        was spent for.
        """
        held, output = self.hold.amounts, reported.output or 0
        if output <= held.output:
            return None
        cost = self._priced(Amounts(reported.input or 0, output, 1), reported)
        for line in self._services.limit_status.lines(self._active.limits):
            if cost.of(line.limit.resource) > held.of(line.limit.resource):
                return self._services.admission.spent(line.limit, self._active, line.remaining)
        return None

    def failed(self, response: Response, body: bytes = b"") -> None:
        """Charge what the answer reports, or else the prompt, if the engine failed while it worked.

        A call that was refused costs nothing.
        """
        reported = usage.of_body(body, self.call.endpoint.protocol) if b'"usage"' in body else Usage()
        if reported.input or reported.output:
            self._know(reported, final=True)
            return
        status = response.status
        said = fields.get(response.headers, _REASON) is not None
        turned_down = status < _SERVER_ERROR or status == _UNAVAILABLE or said
        if turned_down:
            self._known = _FREE
        else:
            held = self.hold.amounts
            self._known = Cost(self._priced(held._replace(output=0), Usage()), Source.RESERVED)

    def settle(self, labels: CallLabels) -> None:
        """Charge what is known, or else what was held; give back what was never sent."""
        hold, services = self.hold, self._services
        if hold.state is HoldState.CLOSED:
            return
        if hold.state is HoldState.RESERVED:
            services.ledger.release(hold)
            services.admission.waiters.wake()
            return
        cost = _FREE if self.call.is_free else self._known or self._of_stream()
        if services.ledger.settle(hold, cost.amounts):
            self.cost = cost
            services.admission.waiters.wake()
            services.llm_metrics.charged(labels, cost)
            if cost.amounts.input and cost.source is Source.PROVIDER:
                services.admission.templates.saw(self.call, cost.amounts.input, hold.amounts.input)
            if cost.amounts.exceed(hold.amounts):
                self._check(cost.amounts)

    def _of_stream(self) -> Cost:
        meter = self.meter
        if meter is None:
            return self._know(Usage(), final=False)
        # The backend may have written long ago what a slow caller has not read yet.
        known = not meter.lagging
        most = meter.most if known and self.call.shows_all_text else None
        unseen = self._unseen(meter) if known and meter.counts else None
        return self._know(meter.usage, final=meter.final, events=meter.events, unseen=unseen, most=most)

    def _unseen(self, meter: Meter) -> int:
        """Return the most tokens that the engine can have written since its last report."""
        if not self.call.reports_each_token:
            return usage.UNSEEN + math.ceil((time.monotonic() - meter.last_passed) * usage.FASTEST)
        return 0 if self._stopped else usage.UNSEEN

    def _know(
        self, reported: Usage, *, final: bool, events: int = 0, unseen: int | None = None, most: int | None = None
    ) -> Cost:
        if self._active.counts_tokens:
            cost = usage.cost(reported, self.hold.amounts, final=final, unseen=unseen, most=most)
        else:
            cost = usage.estimate(reported, self.call.body.size, events, final=final)
        priced = self._priced(cost.amounts, reported)
        known = self._known = cost if priced is cost.amounts else Cost(priced, cost.source)
        return known

    def _priced(self, amounts: Amounts, reported: Usage) -> Amounts:
        """Return the amounts with their cost at the prices of the backend that answered."""
        price = self._active.prices.price(self.call.target, self.call.requested_model)
        if price is None:
            return amounts._replace(cost=0) if amounts.cost else amounts
        if reported.input is None:  # it is not known how much came from a cache
            return amounts._replace(cost=prices.highest((price,)).of(amounts.input, amounts.output))
        tokens = Tokens(amounts.input, amounts.output, reported.cached_input or 0, reported.cache_write or 0)
        return amounts._replace(cost=prices.cost(price, tokens))

    def _check(self, cost: Amounts) -> None:
        """Count the limits that are exceeded after a charge of more than was held."""
        held = self.hold.amounts
        for line in self._services.limit_status.lines(self._active.limits):
            resource = line.limit.resource
            if cost.of(resource) > held.of(resource) and line.spent > line.allowed:
                self._services.metrics.overspent(line.limit.name)
