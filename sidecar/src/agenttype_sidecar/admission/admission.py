"""Admits a call: holds its highest possible cost, counts the prompt before it denies, waits for what others only hold.

Most of what is held comes back. So a call is not denied, and its answer is not shortened to almost nothing, because of
amounts that running calls will soon return. It waits for them, for a limited time.
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
from agenttype_sidecar.budget.amounts import NOTHING, Amounts
from agenttype_sidecar.budget.balances import Hold
from agenttype_sidecar.budget.limit_status import LASTING, LimitStatus
from agenttype_sidecar.budget.reservation import BudgetLine, BudgetLines, Claim, Denial, Grant
from agenttype_sidecar.errors import BudgetHeld, BudgetSpent, LedgerUnavailable, NeverFits, Refusal
from agenttype_sidecar.policy.policies import Active, Policies
from agenttype_sidecar.telemetry.metrics import Metrics

#: Seconds that a call waits for others to give back what they hold.
MAX_WAIT: Final = 30.0
#: A call whose answer would be cut to fewer tokens than this, only because of what others hold, waits for more.
USEFUL_OUTPUT: Final = 1024
#: Seconds between checks whether other pods have given back what they leased.
_POLL_SECONDS: Final = 0.25
#: A tool call with less time than this is refused rather than cut shorter.
LEAST_TOOL_MS: Final = 100
#: A prompt whose bound in bytes is more than this fraction (1 / n) of the context is worth counting exactly.
_COARSE: Final = 4


DemandT = TypeVar("DemandT", bound=Demand)
_DemandT_contra = TypeVar("_DemandT_contra", bound=Demand, contravariant=True)


class PromptCounter(Protocol[_DemandT_contra]):
    """Counts the exact tokens of a prompt."""

    async def count(self, call: _DemandT_contra, active: Active) -> int | None:
        """Return the tokens of a call's prompt, None if they cannot be counted."""


class Admitted(NamedTuple):
    """A call that may go, and what is held for it."""

    grant: Grant
    hold: Hold


class AdmissionState(NamedTuple):
    """What decides whether any call may go."""

    limit_status: LimitStatus
    agent_stop: AgentStop
    policies: Policies


class BudgetWaiters:
    """Wakes the calls that wait for budget, in the order they came."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def wake(self) -> None:
        """Wake all waiting calls, because something was settled."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, until: float) -> bool:
        """Wait for the next settlement; return False if none came before `until`, in the loop's time."""
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
        waiters: Calls that wait for a settlement; woken at each one.
        templates: What chat templates were seen to add to prompts.
    """

    def __init__(
        self, state: AdmissionState, upstream: PromptCounter[DemandT], metrics: Metrics, max_wait: float = MAX_WAIT
    ) -> None:
        """Admit what `state` has room for; `upstream` counts prompts, `max_wait` is in seconds."""
        self.waiters = BudgetWaiters()
        self.templates = ChatTemplates()
        self._max_wait = max_wait
        self._limit_status = state.limit_status
        self._agent_stop = state.agent_stop
        self._policies = state.policies
        self._ledger = state.limit_status.ledger
        self._upstream = upstream
        self._metrics = metrics

    def check(self) -> None:
        """Refuse a new call, even one that costs nothing, if the agent was stopped.

        Raises:
            AgentStopped: The agent was stopped for good.
        """
        self._agent_stop.check()

    async def admit(self, call: DemandT, active: Active) -> Admitted:
        """Hold what a call can cost at most.

        Raises:
            BudgetSpent: It does not fit into what is left.
            BudgetHeld: It would fit if other calls gave back what they hold.
            NeverFits: It does not fit into a whole limit.
            UnpricedModel: Costs are limited, and its model has no price.
            AgentStopped: The agent was stopped for good.
        """
        self._agent_stop.check()
        if call.is_free:
            return Admitted(Grant(NOTHING, None, clamped=False), self._ledger.reserve(NOTHING))
        claim = self._claimed(call, active)
        may_count = call.is_ours and active.counts_tokens
        decision = reservation.decide(self._limit_status.lines_for_call(active.limits), claim, active.on_limit)
        if _is_unclamped(decision) and not (may_count and self._counting_helps(call, active, claim, decision)):
            return Admitted(decision, self._ledger.reserve(decision.amounts))
        # There is little room, or the engine may count fewer tokens.
        waiting = self._waiting()
        quota = SharedQuota(self._limit_status.shared)
        while True:
            lines = self._limit_status.lines_for_call(active.limits)
            decision = reservation.decide(lines, claim, active.on_limit)
            if may_count and self._counting_helps(call, active, claim, decision):
                may_count = False
                claim = await self._counted(call, active, claim)
                continue
            if _is_unclamped(decision):
                return Admitted(decision, self._ledger.reserve(decision.amounts))
            if await quota.more(decision, lines, claim.whole):
                continue
            is_held = self._is_held_by_others(quota.optimistic(lines), active, claim, decision)
            if is_held and await waiting.more(poll=quota.may_return):
                self._agent_stop.check()
                quota.forget()
                continue
            # Nothing was awaited since the decision, so no other call has taken the room.
            if isinstance(decision, Denial):
                quota.check(decision)
                raise self._refused(decision, active, is_held=is_held, lasting=self._is_over(lines, active, claim))
            self._metrics.clamped.inc()
            return Admitted(decision, self._ledger.reserve(decision.amounts))

    async def admit_tool(self, timeout: float) -> Hold:  # noqa: ASYNC109 — what is held, not how long we wait
        """Hold a tool call of at most `timeout` seconds, and record it: it may go out at once.

        Raises:
            BudgetSpent: It does not fit into what is left.
            BudgetHeld: It would fit if other calls gave back what they hold.
            LedgerUnavailable: It cannot be recorded.
            AgentStopped: The agent was stopped for good.
        """
        self._agent_stop.check()
        active = self._policies.active
        longest = tool_time.limit(timeout)
        waiting = self._waiting()
        quota = SharedQuota(self._limit_status.shared)
        whole = Amounts(tool_calls=1, tool_ms=longest)
        while True:
            lines = self._limit_status.lines_for_call(active.limits)
            decision = reservation.decide_tool(lines, longest, LEAST_TOOL_MS)
            if await quota.more(decision, lines, whole):
                continue
            without_holds = reservation.decide_tool(_without_holds(quota.optimistic(lines)), longest, LEAST_TOOL_MS)
            is_held = isinstance(decision, Denial) and isinstance(without_holds, Grant)
            if is_held and await waiting.more(poll=quota.may_return):
                self._agent_stop.check()
                quota.forget()
                continue
            if isinstance(decision, Denial):
                quota.check(decision)
                lasting = isinstance(without_holds, Denial) and without_holds.limit.window in LASTING
                raise self._refused(decision, active, is_held=is_held, lasting=lasting)
            hold = self._ledger.reserve(decision.amounts)
            try:
                self._ledger.dispatch(hold)
            except LedgerUnavailable:
                self._ledger.release(hold)
                raise
            return hold

    def settle_tool(self, hold: Hold, seconds: float) -> None:
        """Charge a tool call and its time."""
        if self._ledger.settle(hold, tool_time.cost(seconds, hold.amounts)):
            self.waiters.wake()

    def release_tool(self, hold: Hold) -> None:
        """Charge nothing for a tool call that was not sent."""
        if self._ledger.release(hold):
            self.waiters.wake()

    def _waiting(self) -> "_WaitTime":
        return _WaitTime(self.waiters, asyncio.get_running_loop().time() + self._max_wait)

    def _claimed(self, call: DemandT, active: Active) -> Claim:
        """Return a call's claim; refuse one without a bound where tokens or costs are limited."""
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
        """Return the claim with its prompt counted by the engine; the same claim if it cannot be counted."""
        exact = await self._upstream.count(call, active)
        if exact is None:
            return claim
        self.templates.saw(call, exact, claim.prompt)
        return _claim(call, active, exact) or claim

    def _is_held_by_others(self, lines: BudgetLines, active: Active, claim: Claim, decision: Grant | Denial) -> bool:
        """Return whether the call would get more once running calls have given back what they hold."""
        if isinstance(decision, Grant):
            if (decision.output or 0) >= USEFUL_OUTPUT:
                return False
        elif decision.never:
            return False
        without_holds = reservation.decide(_without_holds(lines), claim, active.on_limit)
        return isinstance(without_holds, Grant) and (isinstance(decision, Denial) or without_holds != decision)

    def _counting_helps(self, call: DemandT, active: Active, claim: Claim, decision: Grant | Denial) -> bool:
        """Return whether counting the prompt's tokens by the engine may change the decision."""
        if _is_unclamped(decision):
            context = claim.context
            coarse = call.output is None and context is not None and claim.prompt * _COARSE > context
            return coarse or (not self.templates.knows(call) and self._is_near(active, claim))
        # An agent that keeps calling with nothing left must not keep the engine busy.
        lines = self._limit_status.lines(active.limits)
        unspent = isinstance(decision, Denial) and decision.never
        lines = tuple(BudgetLine(line.limit, 0, 0) for line in lines) if unspent else _unshared(_without_holds(lines))
        return isinstance(reservation.decide(lines, claim._replace(prompt=1), active.on_limit), Grant)

    def _is_near(self, active: Active, claim: Claim) -> bool:
        """Return whether a template that was not seen yet could take a call past a limit."""
        longest = claim._replace(prompt=claim.prompt + chat_templates.MOST)
        return not _is_unclamped(reservation.decide(self._limit_status.lines(active.limits), longest, active.on_limit))

    def _is_over(self, lines: BudgetLines, active: Active, claim: Claim) -> bool:
        """Return whether not even the smallest call of this kind can go any more in this run."""
        lines = _without_holds(lines)
        least = claim._replace(prompt=1, output=reservation.MIN_OUTPUT, answers=1)
        decision = reservation.decide(lines, least, active.on_limit)
        return isinstance(decision, Denial) and decision.limit.window in LASTING

    def _refused(self, denial: Denial, active: Active, *, is_held: bool, lasting: bool) -> Refusal:
        limit, resource = denial.limit, denial.limit.resource
        name = limit.name
        if denial.never:
            self._metrics.rejected(name, NeverFits.reason)
            return NeverFits(f"the call needs more {resource} than the whole limit {name!r} of this agent has", name)
        if is_held:
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


class _WaitTime:
    """How long one call may still wait."""

    def __init__(self, waiters: BudgetWaiters, until: float) -> None:
        self._waiters = waiters
        self._until = until
        self._left = True

    async def more(self, *, poll: bool) -> bool:
        """Wait for the next settlement; return False once the time is used up.

        Args:
            poll: whether to return soon in any case, because other pods may free something too.
        """
        if not self._left:
            return False
        now = asyncio.get_running_loop().time()
        until = min(self._until, now + _POLL_SECONDS) if poll else self._until
        self._left = await self._waiters.wait(until) or until < self._until
        return self._left


def _is_unclamped(decision: Grant | Denial) -> TypeGuard[Grant]:
    """Return whether a call gets all that it asked for."""
    return isinstance(decision, Grant) and not decision.clamped


def _without_holds(lines: BudgetLines) -> BudgetLines:
    """Return the lines as they would be if no call were running."""
    return tuple(line._replace(held=0) for line in lines)


def _unshared(lines: BudgetLines) -> BudgetLines:
    """Return the lines as if this pod could use all of a shared limit that it has not spent."""
    return tuple(line._replace(drawn=None) for line in lines)


def _claim(call: Demand, active: Active, exact: int | None) -> Claim | None:
    claim = call.claim(exact)
    if claim is None or not active.prices.limits:
        return claim
    return claim._replace(rate=active.prices.rate(call.target, call.requested_model))
