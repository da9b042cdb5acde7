"""What one call costs, as far as it is known, and the one time that it is charged."""

from typing import Final, NamedTuple

from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy import headers as fields
from agenttype_proxy.response import Response

from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.admission import Admission
from agenttype_sidecar.budget.book import Hold, State
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.llm import usage
from agenttype_sidecar.llm.call import Call
from agenttype_sidecar.llm.usage import Cost, Meter, Source, Usage
from agenttype_sidecar.policies import Active
from agenttype_sidecar.reports.metrics import Lane, Metrics
from agenttype_sidecar.reports.observations import lines

_REASON: Final = keys.HEADER_REASON.encode()
_SERVER_ERROR: Final = 500


class Books(NamedTuple):
    """Where a charge is written down."""

    ledger: Ledger
    admission: Admission
    metrics: Metrics


class Settlement:
    """The money of one call that was admitted; whoever settles a second time changes nothing.

    Attributes:
        call: The call as it was sent last; whoever sends it to another backend sets it anew.
        hold: What is kept aside for it.
        meter: What counts its stream; None for a whole answer.
        cost: What was charged; None until it was.
    """

    def __init__(self, books: Books, active: Active, call: Call, hold: Hold) -> None:
        self.call = call
        self.hold = hold
        self.meter: Meter | None = None
        self.cost: Cost | None = None
        self._books = books
        self._active = active
        self._known: Cost | None = None

    def answered(self, body: bytes, protocol: WireProtocol) -> None:
        """Take what a whole answer reports."""
        self._know(usage.of_body(body, protocol), final=True)

    def failed(self, response: Response) -> None:
        """Charge the prompt where the engine broke while it worked; nothing where the call was turned down."""
        turned_down = response.status < _SERVER_ERROR or fields.get(response.headers, _REASON) is not None
        if turned_down:
            self._known = Cost(reservation.NOTHING, Source.PROVIDER)
        else:
            self._known = Cost(self.hold.amounts._replace(output=0), Source.RESERVED)

    def settle(self, lane: Lane) -> None:
        """Charge what is known, else what was held; give back what was never sent."""
        hold, books = self.hold, self._books
        if hold.state is State.CLOSED:
            return
        if hold.state is State.RESERVED:
            books.ledger.release(hold)
            books.admission.freed.tell()
            return
        cost = self._known or self._of_stream()
        if books.ledger.settle(hold, cost.amounts):
            self.cost = cost
            books.admission.freed.tell()
            books.metrics.charged(lane, cost)
            if cost.amounts.input > hold.amounts.input or cost.amounts.output > hold.amounts.output:
                books.metrics.overspent(lines(self._active.limits, books.ledger))

    def _of_stream(self) -> Cost:
        meter = self.meter
        if meter is None:
            return self._know(Usage(), final=False)
        return self._know(meter.usage, final=meter.final, pieces=meter.pieces)

    def _know(self, reported: Usage, *, final: bool, pieces: int = 0) -> Cost:
        if self._active.counts_tokens:
            self._known = usage.cost(reported, self.hold.amounts, final=final)
        else:
            self._known = usage.estimate(reported, self.call.body.size, pieces, final=final)
        return self._known
