"""Whether a call may go: holds what it can cost at most, counts before it denies, waits for what others only hold.

What is held comes back, mostly: a call is not denied, nor its answer cut to a stump, for money that running calls will
return in a moment. It waits for them, though not for ever.
"""

import asyncio
from dataclasses import replace
from typing import Final, NamedTuple, Protocol

from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.book import Hold
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import Amounts, Ask, Denial, Grant
from agenttype_sidecar.errors import BudgetHeld, BudgetSpent, NeverFits, Refusal
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm.call import Call
from agenttype_sidecar.policies import Active
from agenttype_sidecar.reports.metrics import Metrics

#: How long a call waits for others to give back what they hold, in seconds.
PATIENCE: Final = 30.0
#: An answer that is cut to fewer tokens than this, only because of what others hold, waits for more.
COMFORT: Final = 1024
#: A prompt's bound by bytes that takes more than one part in so many of the context is worth counting exactly.
_COARSE: Final = 4


class Counts(Protocol):
    """What can tell the exact size of a prompt."""

    async def count(self, call: Call, active: Active) -> int | None:
        """Return the tokens of a call's prompt, None where nobody can tell."""


class Admitted(NamedTuple):
    """A call that may go, and what is held for it."""

    grant: Grant
    hold: Hold


class Freed:
    """Wakes those who wait for money, in the order they came."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def tell(self) -> None:
        """Wake all who wait: something was settled."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, until: float) -> bool:
        """Wait for the next settlement; return False where none came until then, in the loop's time."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(until):
                await waiter
        except TimeoutError:
            return False
        return True


class Admission:
    """Admits calls against the budget."""

    def __init__(self, ledger: Ledger, upstream: Counts, metrics: Metrics, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._ledger = ledger
        self._upstream = upstream
        self._metrics = metrics
        self.freed = Freed()

    async def admit(self, call: Call, active: Active) -> Admitted:
        """Hold what a call can cost at most.

        Raises:
            BudgetSpent: It does not fit into what is left.
            BudgetHeld: It would fit, had other calls given back what they hold.
            NeverFits: It does not fit into a whole limit.
        """
        ask = _ask(call, active)
        until = asyncio.get_running_loop().time() + self._patience
        may_count = call.is_ours and active.counts_tokens
        may_wait = True
        while True:
            decision = reservation.decide(active.limits, self._ledger.book.used, ask, active.on_limit)
            if may_count and self._counting_helps(call, active, ask, decision):
                may_count = False
                exact = await self._upstream.count(call, active)
                ask = calls.ask(call, exact) or ask
                continue
            crowded = self._is_crowded(active, ask, decision)
            if crowded and may_wait:
                may_wait = await self.freed.wait(until)
                continue
            # Nothing was awaited since the decision, so no other call has taken what it found.
            if isinstance(decision, Denial):
                raise self._refused(decision, crowded=crowded)
            if decision.clamped:
                self._metrics.clamped.inc()
            return Admitted(decision, self._ledger.reserve(decision.amounts))

    def _is_crowded(self, active: Active, ask: Ask, decision: Grant | Denial) -> bool:
        """Return whether the call would fare better once running calls have given back what they hold."""
        if isinstance(decision, Grant):
            if not decision.clamped or (decision.output or 0) >= COMFORT:
                return False
        elif decision.never:
            return False
        alone = reservation.decide(active.limits, self._ledger.book.spent, ask, active.on_limit)
        return isinstance(alone, Grant) and (isinstance(decision, Denial) or alone != decision)

    def _counting_helps(self, call: Call, active: Active, ask: Ask, decision: Grant | Denial) -> bool:
        """Return whether it is worth a question to the engine to know the prompt's tokens exactly."""
        if isinstance(decision, Grant) and not decision.clamped:
            context = ask.context
            return call.output is None and context is not None and ask.prompt * _COARSE > context
        # An agent that goes on asking with nothing left must not keep the engine busy.
        best = replace(ask, prompt=1)
        return isinstance(reservation.decide(active.limits, self._used_by(decision), best, active.on_limit), Grant)

    def _used_by(self, decision: Grant | Denial) -> Amounts:
        book = self._ledger.book
        return reservation.NOTHING if isinstance(decision, Denial) and decision.never else book.spent

    def _refused(self, denial: Denial, *, crowded: bool) -> Refusal:
        name, resource = denial.limit.name, denial.limit.resource
        if denial.never:
            self._metrics.rejected(name, "never_fits")
            return NeverFits(f"the call needs more {resource} than the whole limit {name!r} of this agent has", name)
        if crowded:
            self._metrics.rejected(name, "held")
            return BudgetHeld(f"running calls of this agent hold what the limit {name!r} has left of {resource}", name)
        self._metrics.rejected(name, "spent")
        return BudgetSpent(
            f"the limit {name!r} of this agent has {denial.remaining} {resource} left, and the call needs more",
            name,
            denial.remaining,
        )


def _ask(call: Call, active: Active) -> Ask:
    """Return what a call wants; refuse one that nothing bounds where tokens are limited."""
    ask = calls.ask(call)
    if ask is not None:
        return ask
    if active.counts_tokens:
        raise NeverFits(
            "the agent's tokens are limited, and for this model nothing bounds images, files and custom templates",
            active.limits[0].name,
        )
    return Ask(0, None)
