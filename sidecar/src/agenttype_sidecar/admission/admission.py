"""Whether a call may go: holds what it can cost at most, counts before it denies, waits for what others only hold.

What is held comes back, mostly: a call is not denied, nor its answer cut to a stump, for money that running calls will
return in a moment. It waits for them, though not for ever.
"""

import asyncio
from typing import Final, Generic, NamedTuple, Protocol, TypeGuard, TypeVar

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import OnExhausted

from agenttype_sidecar.admission import chat_templates
from agenttype_sidecar.admission.agent_stop import AgentStop
from agenttype_sidecar.admission.chat_templates import ChatTemplates
from agenttype_sidecar.admission.demand import Demand
from agenttype_sidecar.admission.shared_quota import SharedQuota
from agenttype_sidecar.budget import reservation, tool_time
from agenttype_sidecar.budget.balances import Hold
from agenttype_sidecar.budget.limit_status import LASTING, LimitStatus
from agenttype_sidecar.budget.reservation import Amounts, Claim, Denial, Grant, Line, Lines
from agenttype_sidecar.errors import BudgetHeld, BudgetSpent, LedgerUnavailable, NeverFits, Refusal
from agenttype_sidecar.policy.policies import Active, Policies
from agenttype_sidecar.telemetry.metrics import Metrics

#: How long a call waits for others to give back what they hold, in seconds.
PATIENCE: Final = 30.0
#: An answer that is cut to fewer tokens than this, only because of what others hold, waits for more.
COMFORT: Final = 1024
#: How often to look whether other pods have given back what they leased, in seconds.
_GLANCE: Final = 0.25
#: Less time than this is none to a tool: its call is refused rather than cut shorter.
LEAST_TOOL_MS: Final = 100
#: A prompt's bound by bytes that takes more than one part in so many of the context is worth counting exactly.
_COARSE: Final = 4


DemandT = TypeVar("DemandT", bound=Demand)
_DemandT_contra = TypeVar("_DemandT_contra", bound=Demand, contravariant=True)


class PromptCounter(Protocol[_DemandT_contra]):
    """What can tell the exact size of a prompt."""

    async def count(self, call: _DemandT_contra, active: Active) -> int | None:
        """Return the tokens of a call's prompt, None where nobody can tell."""


class Admitted(NamedTuple):
    """A call that may go, and what is held for it."""

    grant: Grant
    hold: Hold


class AdmissionState(NamedTuple):
    """What decides whether anything may go."""

    limit_status: LimitStatus
    agent_stop: AgentStop
    policies: Policies


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


class Admission(Generic[DemandT]):
    """Admits calls against the budget.

    Attributes:
        freed: Told whenever something was settled.
        templates: What prompts were seen to have beyond their bound.
    """

    def __init__(
        self, state: AdmissionState, upstream: PromptCounter[DemandT], metrics: Metrics, patience: float = PATIENCE
    ) -> None:
        """Admit what `gate` has room for; `upstream` counts prompts, `patience` is in seconds."""
        self.freed = Freed()
        self.templates = ChatTemplates()
        self._patience = patience
        self._limit_status = state.limit_status
        self._agent_stop = state.agent_stop
        self._policies = state.policies
        self._ledger = state.limit_status.ledger
        self._upstream = upstream
        self._metrics = metrics

    def check(self) -> None:
        """Refuse what would begin now, even where it costs nothing.

        Raises:
            AgentStopped: The agent was stopped for good.
        """
        self._agent_stop.check()

    async def admit(self, call: DemandT, active: Active) -> Admitted:
        """Hold what a call can cost at most.

        Raises:
            BudgetSpent: It does not fit into what is left.
            BudgetHeld: It would fit, had other calls given back what they hold.
            NeverFits: It does not fit into a whole limit.
            UnpricedModel: Costs are limited, and nobody said what it costs.
            AgentStopped: The agent was stopped for good.
        """
        self._agent_stop.check()
        if call.is_free:
            return Admitted(Grant(reservation.NOTHING, None, clamped=False), self._ledger.reserve(reservation.NOTHING))
        claim = self._claimed(call, active)
        may_count = call.is_ours and active.counts_tokens
        decision = reservation.decide(self._limit_status.asked(active.limits), claim, active.on_limit)
        if _is_whole(decision) and not (may_count and self._counting_helps(call, active, claim, decision)):
            return Admitted(decision, self._ledger.reserve(decision.amounts))
        # It is tight, or the engine may know better.
        waiting = self._waiting()
        shares = SharedQuota(self._limit_status.shared)
        while True:
            lines = self._limit_status.asked(active.limits)
            decision = reservation.decide(lines, claim, active.on_limit)
            if may_count and self._counting_helps(call, active, claim, decision):
                may_count = False
                claim = await self._counted(call, active, claim)
                continue
            if _is_whole(decision):
                return Admitted(decision, self._ledger.reserve(decision.amounts))
            if await shares.more(decision, lines, claim.whole):
                continue
            crowded = self._is_crowded(shares.hoped(lines), active, claim, decision)
            if crowded and await waiting.more(brief=shares.are_out):
                self._agent_stop.check()
                shares.forget()
                continue
            # Nothing was awaited since the decision, so no other call has taken what it found.
            if isinstance(decision, Denial):
                shares.check(decision)
                raise self._refused(decision, active, crowded=crowded, lasting=self._is_over(lines, active, claim))
            self._metrics.clamped.inc()
            return Admitted(decision, self._ledger.reserve(decision.amounts))

    async def admit_tool(self, timeout: float) -> Hold:  # noqa: ASYNC109 — what is held, not how long we wait
        """Hold a tool call of at most so many seconds, and record it: it may go out at once.

        Raises:
            BudgetSpent: It does not fit into what is left.
            BudgetHeld: It would fit, had other calls given back what they hold.
            LedgerUnavailable: It cannot be recorded.
            AgentStopped: The agent was stopped for good.
        """
        self._agent_stop.check()
        active = self._policies.active
        longest = tool_time.limit(timeout)
        waiting = self._waiting()
        shares = SharedQuota(self._limit_status.shared)
        whole = Amounts(tool_calls=1, tool_ms=longest)
        while True:
            lines = self._limit_status.asked(active.limits)
            decision = reservation.decide_tool(lines, longest, LEAST_TOOL_MS)
            if await shares.more(decision, lines, whole):
                continue
            alone = reservation.decide_tool(_alone(shares.hoped(lines)), longest, LEAST_TOOL_MS)
            crowded = isinstance(decision, Denial) and isinstance(alone, Grant)
            if crowded and await waiting.more(brief=shares.are_out):
                self._agent_stop.check()
                shares.forget()
                continue
            if isinstance(decision, Denial):
                shares.check(decision)
                lasting = isinstance(alone, Denial) and alone.limit.window in LASTING
                raise self._refused(decision, active, crowded=crowded, lasting=lasting)
            hold = self._ledger.reserve(decision.amounts)
            try:
                self._ledger.dispatch(hold)
            except LedgerUnavailable:
                self._ledger.release(hold)
                raise
            return hold

    def settle_tool(self, hold: Hold, seconds: float) -> None:
        """Charge a tool call and the time that it took."""
        if self._ledger.settle(hold, tool_time.cost(seconds, hold.amounts)):
            self.freed.tell()

    def release_tool(self, hold: Hold) -> None:
        """Charge nothing for a tool call of which nothing went out."""
        if self._ledger.release(hold):
            self.freed.tell()

    def _waiting(self) -> "_Waiting":
        return _Waiting(self.freed, asyncio.get_running_loop().time() + self._patience)

    def _claimed(self, call: DemandT, active: Active) -> Claim:
        """Return what a call wants; refuse one that nothing bounds where tokens or costs are limited."""
        if not active.counts_tokens:
            return Claim(0, None)
        claim = _claim(call, active, None)
        if claim is None:
            raise NeverFits(
                "the agent's tokens are limited, and for this model nothing bounds images, files and custom templates",
                active.limits[0].name,
            )
        added = self.templates.adds(call)
        return claim._replace(prompt=claim.prompt + added) if added else claim

    async def _counted(self, call: DemandT, active: Active, claim: Claim) -> Claim:
        """Return what a call wants with its prompt counted by the engine; as before where that cannot be had."""
        exact = await self._upstream.count(call, active)
        if exact is None:
            return claim
        self.templates.saw(call, exact, claim.prompt)
        return _claim(call, active, exact) or claim

    def _is_crowded(self, lines: Lines, active: Active, claim: Claim, decision: Grant | Denial) -> bool:
        """Return whether the call would fare better once running calls have given back what they hold."""
        if isinstance(decision, Grant):
            if (decision.output or 0) >= COMFORT:
                return False
        elif decision.never:
            return False
        alone = reservation.decide(_alone(lines), claim, active.on_limit)
        return isinstance(alone, Grant) and (isinstance(decision, Denial) or alone != decision)

    def _counting_helps(self, call: DemandT, active: Active, claim: Claim, decision: Grant | Denial) -> bool:
        """Return whether it is worth a question to the engine to know the prompt's tokens exactly."""
        if _is_whole(decision):
            context = claim.context
            coarse = call.output is None and context is not None and claim.prompt * _COARSE > context
            return coarse or (not self.templates.knows(call) and self._is_near(active, claim))
        # An agent that goes on asking with nothing left must not keep the engine busy.
        lines = self._limit_status.lines(active.limits)
        unspent = isinstance(decision, Denial) and decision.never
        lines = tuple(Line(line.limit, 0, 0) for line in lines) if unspent else _unshared(_alone(lines))
        return isinstance(reservation.decide(lines, claim._replace(prompt=1), active.on_limit), Grant)

    def _is_near(self, active: Active, claim: Claim) -> bool:
        """Return whether a template that nobody has seen yet could take a call past a limit."""
        longest = claim._replace(prompt=claim.prompt + chat_templates.MOST)
        return not _is_whole(reservation.decide(self._limit_status.lines(active.limits), longest, active.on_limit))

    def _is_over(self, lines: Lines, active: Active, claim: Claim) -> bool:
        """Return whether no call of this kind, however small, can go any more in this run."""
        lines = _alone(lines)
        least = claim._replace(prompt=1, output=reservation.MIN_OUTPUT, answers=1)
        decision = reservation.decide(lines, least, active.on_limit)
        return isinstance(decision, Denial) and decision.limit.window in LASTING

    def _refused(self, denial: Denial, active: Active, *, crowded: bool, lasting: bool) -> Refusal:
        limit, resource = denial.limit, denial.limit.resource
        name = limit.name
        if denial.never:
            self._metrics.rejected(name, NeverFits.reason)
            return NeverFits(f"the call needs more {resource} than the whole limit {name!r} of this agent has", name)
        if crowded:
            self._metrics.rejected(name, BudgetHeld.reason)
            return BudgetHeld(f"running calls of this agent hold what the limit {name!r} has left of {resource}", name)
        self._metrics.rejected(name, BudgetSpent.reason)
        if lasting and active.policy.budget.on_exhausted is OnExhausted.STOP_AGENT:
            self._agent_stop.stop(f"the limit {name!r} on {resource} is used up")
        return self.spent(limit, active, denial.remaining)

    def spent(self, limit: Limit, active: Active, remaining: int = 0) -> BudgetSpent:
        """Return the refusal for a limit that does not hold a call."""
        return BudgetSpent(
            f"the limit {limit.name!r} of this agent has {remaining} {limit.resource} left, and the call needs more",
            limit.name,
            remaining,
            reset=self._limit_status.resets_in(limit),
            status=active.policy.budget.refusal_status,
        )


class _Waiting:
    """One call's patience."""

    def __init__(self, freed: Freed, until: float) -> None:
        self._freed = freed
        self._until = until
        self._left = True

    async def more(self, *, brief: bool) -> bool:
        """Wait for the next settlement; return False once there is no more patience.

        Args:
            brief: whether to look again soon in any case, for others may free something too.
        """
        if not self._left:
            return False
        now = asyncio.get_running_loop().time()
        until = min(self._until, now + _GLANCE) if brief else self._until
        self._left = await self._freed.wait(until) or until < self._until
        return self._left


def _is_whole(decision: Grant | Denial) -> TypeGuard[Grant]:
    """Return whether a call gets all that it asked for."""
    return isinstance(decision, Grant) and not decision.clamped


def _alone(lines: Lines) -> Lines:
    """Return what there would be if no call were running."""
    return tuple(line._replace(held=0) for line in lines)


def _unshared(lines: Lines) -> Lines:
    """Return what there would be if all of a shared limit that this pod has not spent were its own."""
    return tuple(line._replace(drawn=None) for line in lines)


def _claim(call: Demand, active: Active, exact: int | None) -> Claim | None:
    claim = call.claim(exact)
    if claim is None or not active.prices.limits:
        return claim
    return claim._replace(rate=active.prices.rate(call.target, call.asked))
