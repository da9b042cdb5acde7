"""One call's dealings with shared limits: it asks for more of them before it takes no for an answer."""

import asyncio
from typing import Final

from agenttype_sidecar.budget.reservation import Amounts, Denial, Grant, Line, Lines
from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.errors import NatsUnreachable
from agenttype_sidecar.leases.terms import Outcome, Want

#: How often a call asks anew because others were faster.
_ATTEMPTS: Final = 3


class SharedQuota:
    """What a call was told about shared limits, by their names."""

    def __init__(self, shared: SharedLimits) -> None:
        self._shared = shared
        self._told: dict[str, Want | None] = {}
        self._attempts = 0

    @property
    def are_out(self) -> bool:
        """Whether other pods have leased what they do not use: it may come back."""
        return any(want is not None and want.leased_elsewhere > 0 for want in self._told.values())

    def forget(self) -> None:
        """Ask anew: some time has passed."""
        self._attempts = 0

    async def more(self, decision: Grant | Denial, lines: Lines, whole: Amounts) -> bool:
        """Ask for what a call misses; return whether anything was asked, for then all must be decided anew.

        Args:
            decision: on the call, as things are.
            lines: as they are.
            whole: what it takes at most.
        """
        satisfied = not decision.clamped if isinstance(decision, Grant) else decision.never
        if satisfied or self._attempts >= _ATTEMPTS:
            return False
        short = [line for line in lines if line.drawn is not None and whole.of(line.limit.resource) > line.room]
        if not short:
            return False
        self._attempts += 1
        wants = await asyncio.gather(*(self._want(line, whole.of(line.limit.resource)) for line in short))
        self._told = {line.limit.name: want for line, want in zip(short, wants, strict=True)}
        if not any(want is not None and want.outcome is Outcome.GRANTED for want in wants):
            self._attempts = _ATTEMPTS
        return True

    def hoped(self, lines: Lines) -> Lines:
        """Return the lines as they would be if all that others leased and do not use came back."""
        if not self.are_out:
            return lines
        return tuple(self._hoped(line) for line in lines)

    def check(self, denial: Denial) -> None:
        """Let the store's absence be the reason where it is.

        Raises:
            NatsUnreachable: Nobody can say whether the limit has more.
        """
        limit = denial.limit
        if not limit.account or denial.never:
            return
        want = self._told.get(limit.name)
        if want is None or want.outcome is Outcome.UNAVAILABLE:
            raise NatsUnreachable(f"the limit {limit.name!r} is shared, and NATS, which counts it, does not answer")

    def _hoped(self, line: Line) -> Line:
        want = self._told.get(line.limit.name)
        if line.drawn is None or want is None:
            return line
        return line._replace(drawn=line.drawn + max(0, want.remaining - max(0, line.room)) + want.leased_elsewhere)

    async def _want(self, line: Line, amount: int) -> Want | None:
        """Ask for all that is missing, else for what there is."""
        want = await self._shared.want(line.limit, amount)
        if want is not None and want.outcome is Outcome.EXHAUSTED and want.remaining > max(0, line.room):
            part = await self._shared.want(line.limit, want.remaining)
            if part is not None and part.outcome is Outcome.UNAVAILABLE:
                return part
        return want
