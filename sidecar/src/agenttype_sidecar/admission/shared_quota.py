"""One call's requests for more of the shared limits, made before it is denied."""

import asyncio
from typing import Final

from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.reservation import BudgetLine, BudgetLines, Denial, Grant
from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.errors import NatsUnreachable
from agenttype_sidecar.leases.lease_types import LeaseResult, Outcome

#: How often a call asks again because others were faster.
_ATTEMPTS: Final = 3


class SharedQuota:
    """The results of a call's requests, by the names of the limits."""

    def __init__(self, shared: SharedLimits) -> None:
        self._shared = shared
        self._results: dict[str, LeaseResult | None] = {}
        self._attempts = 0

    @property
    def may_return(self) -> bool:
        """Whether other pods have leased amounts that they do not use, and may give back."""
        return any(result is not None and result.leased_elsewhere > 0 for result in self._results.values())

    def forget(self) -> None:
        """Allow new requests, because some time has passed."""
        self._attempts = 0

    async def more(self, decision: Grant | Denial, lines: BudgetLines, whole: Amounts) -> bool:
        """Ask for what a call lacks; return whether anything was requested, so that it must be decided again.

        Args:
            decision: the present decision on the call.
            lines: the present lines.
            whole: the most that the call takes.
        """
        satisfied = not decision.clamped if isinstance(decision, Grant) else decision.never
        if satisfied or self._attempts >= _ATTEMPTS:
            return False
        short = [line for line in lines if line.drawn is not None and whole.of(line.limit.resource) > line.room]
        if not short:
            return False
        self._attempts += 1
        results = await asyncio.gather(*(self._request(line, whole.of(line.limit.resource)) for line in short))
        self._results = {line.limit.name: result for line, result in zip(short, results, strict=True)}
        if not any(result is not None and result.outcome is Outcome.GRANTED for result in results):
            self._attempts = _ATTEMPTS
        return True

    def optimistic(self, lines: BudgetLines) -> BudgetLines:
        """Return the lines as they would be if others gave back all that they leased and do not use."""
        if not self.may_return:
            return lines
        return tuple(self._optimistic(line) for line in lines)

    def check(self, denial: Denial) -> None:
        """Refuse because NATS does not answer, if that is the reason.

        Raises:
            NatsUnreachable: It is not known whether the limit has more.
        """
        limit = denial.limit
        if not limit.account or denial.never:
            return
        result = self._results.get(limit.name)
        if result is None or result.outcome is Outcome.UNAVAILABLE:
            raise NatsUnreachable(f"the limit {limit.name!r} is shared, and NATS, which counts it, does not answer")

    def _optimistic(self, line: BudgetLine) -> BudgetLine:
        result = self._results.get(line.limit.name)
        if line.drawn is None or result is None:
            return line
        return line._replace(drawn=line.drawn + max(0, result.remaining - max(0, line.room)) + result.leased_elsewhere)

    async def _request(self, line: BudgetLine, amount: int) -> LeaseResult | None:
        """Ask for all that is missing, or else for what is left."""
        result = await self._shared.request(line.limit, amount)
        if result is not None and result.outcome is Outcome.EXHAUSTED and result.remaining > max(0, line.room):
            part = await self._shared.request(line.limit, result.remaining)
            if part is not None and part.outcome is Outcome.UNAVAILABLE:
                return part
        return result
