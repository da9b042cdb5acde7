"""What a call may cost at most, whether that fits, and how long its answer may be. Pure: no clock, no I/O.

Every limit counts a resource. A call is admitted with an upper bound of its cost, which is held until the true cost is
known. So `spent + held ≤ limit` holds at every moment, however many calls run.

The bound of a prompt is its bytes, or what the engine counts. Former prompts of a model are no bound, because the next
one may be written differently; they are not used here.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import OnLimit, Resource

from agenttype_sidecar.budget import prices
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.prices import Rate

#: Fewer tokens than this make no useful answer: a call is refused rather than clamped below it.
MIN_OUTPUT: Final = 16
#: The bound of an answer where neither the caller nor the policy sets one: more than most answers take, and no model
#: that is offered today refuses it as too large.
DEFAULT_OUTPUT: Final = 4096
_OF_TOKENS: Final = frozenset({Resource.TOKENS, Resource.INPUT_TOKENS, Resource.OUTPUT_TOKENS, Resource.COST})
#: Tokens that a chat template adds on top of the body's bytes.
TEMPLATE_TOKENS: Final = 64
#: And where tools are declared, because templates explain how to call them.
TOOL_TOKENS: Final = 256


#: Used at every call, and looking up a member of an enumeration is slow.
_WALL_CLOCK: Final = Resource.WALL_CLOCK


class Claim(NamedTuple):
    """What a call needs of the budget.

    Attributes:
        prompt: Upper bound of its input tokens.
        output: Tokens that one answer may have, as the caller wrote it; None if it did not.
        answers: How many answers it asks for (n, best_of, several prompts).
        context: Tokens that prompt and one answer can have together; None if it is not known.
        rate: The most that its tokens can cost.
    """

    prompt: int
    output: int | None
    answers: int = 1
    context: int | None = None
    rate: Rate = prices.FREE

    @property
    def whole(self) -> Amounts:
        """The most that the call can take if its answers are not shortened."""
        return self.amounts(_wanted(self))

    def amounts(self, output: int) -> Amounts:
        """Return the most that the call can take if each answer has `output` tokens."""
        written = output * self.answers
        return Amounts(self.prompt, written, 1, self.rate.of(self.prompt, written))


class Grant(NamedTuple):
    """The call may go: hold `amounts`; `output` goes upstream as its bound, None leaves the body unchanged."""

    amounts: Amounts
    output: int | None
    clamped: bool


class Denial(NamedTuple):
    """The call may not go: `limit` has only `remaining` left; `never` means that not even the whole limit is enough."""

    limit: Limit
    remaining: int
    never: bool


class BudgetLine(NamedTuple):
    """One row of the budget table, in units of the limit's resource; of a shared limit, this pod's part of it.

    Attributes:
        limit: The limit.
        spent: What is spent in its window.
        held: What is held for running calls.
        drawn: Of a shared limit, all that this pod may use; None for a limit of its own.
        free: Of a shared limit, what no pod has leased, as far as known; this pod may lease it.
    """

    limit: Limit
    spent: int
    held: int
    drawn: int | None = None
    free: int = 0

    @property
    def allowed(self) -> int:
        """The most that this pod may spend in all."""
        return self.limit.max if self.drawn is None else self.drawn

    @property
    def room(self) -> int:
        """What a new call can use; negative after a limit was lowered below what is spent."""
        return self.allowed - self.spent - self.held

    @property
    def used_up(self) -> int:
        """What no call can use any more: spent here or, as far as known, by other pods."""
        return self.limit.max - self.free - self.allowed + self.spent

    @property
    def remaining(self) -> int:
        """What new calls can use, at least 0."""
        return max(0, self.room + self.free)


BudgetLines = tuple[BudgetLine, ...]


def prompt_bound(size: int, context: int | None, prompts: int = 1, *, tools: bool = False) -> int:
    """Return an upper bound of the input tokens of a body of `size` bytes; `tools`: whether it declares tools.

    A byte-level tokenizer makes at most one token of a byte, and the body's JSON syntax outweighs what a chat template
    writes around the messages. The engine refuses what exceeds its context.
    """
    bound = size + TEMPLATE_TOKENS + (TOOL_TOKENS if tools else 0)
    return bound if context is None else min(bound, context * prompts)


def counts_tokens(limits: Iterable[Limit]) -> bool:
    """Return whether any limit depends on the tokens of a call."""
    return not _OF_TOKENS.isdisjoint([limit.resource for limit in limits])


def decide(lines: BudgetLines, claim: Claim, on_limit: OnLimit) -> Grant | Denial:
    """Decide on a call: what to hold and how long its answer may be, or which limit denies it.

    Args:
        lines: the limits of the policy, and what is spent and held of each.
        claim: what the call needs.
        on_limit: whether an answer may be shortened to what is left.
    """
    if _OF_TOKENS.isdisjoint([line.limit.resource for line in lines]):
        amounts = Amounts(requests=1)
        short = _shortest(lines, amounts)
        return Grant(amounts, None, clamped=False) if short is None else _denied(lines, amounts, short)
    wanted = _wanted(claim)
    whole = claim.amounts(wanted)
    short = _shortest(lines, whole)
    if short is None:
        return Grant(whole, claim.output if claim.output is not None else wanted, clamped=False)
    least = min(MIN_OUTPUT, wanted) if on_limit is OnLimit.CLAMP else wanted
    needed = claim.amounts(least)
    output = _affordable(lines, claim)
    still = _shortest(lines, needed)
    if on_limit is OnLimit.REJECT or output < least or still is not None:
        return _denied(lines, needed, still or short)
    output = min(output, wanted)
    return Grant(claim.amounts(output), output, clamped=True)


def decide_tool(lines: BudgetLines, milliseconds: int, least: int) -> Grant | Denial:
    """Decide on a tool call that may take `milliseconds`, or at least `least` if less is left."""
    wanted = Amounts(tool_calls=1, tool_ms=milliseconds)
    if _shortest(lines, wanted) is None:
        return Grant(wanted, None, clamped=False)
    left = min((line.room for line in lines if line.limit.resource is Resource.TOOL_TIME), default=milliseconds)
    needed = wanted._replace(tool_ms=max(min(least, milliseconds), min(left, milliseconds)))
    short = _shortest(lines, needed)
    return Grant(needed, None, clamped=True) if short is None else _denied(lines, needed, short)


def _wanted(claim: Claim) -> int:
    """Output tokens that one answer can have at most."""
    if claim.context is None:
        return DEFAULT_OUTPUT if claim.output is None else claim.output
    if claim.output is not None:
        return min(claim.output, claim.context)
    return max(MIN_OUTPUT, claim.context - claim.prompt)


def _affordable(lines: BudgetLines, claim: Claim) -> int:
    """Output tokens per answer for which every limit has room."""
    rooms = []
    for line in lines:
        resource = line.limit.resource
        if resource is Resource.TOKENS:
            rooms.append(line.room - claim.prompt)
        elif resource is Resource.OUTPUT_TOKENS:
            rooms.append(line.room)
        elif resource is Resource.COST:
            paid = claim.rate.affords(line.room, claim.prompt)
            if paid is not None:
                rooms.append(paid)
    return min(rooms) // claim.answers if rooms else _wanted(claim)


def _need(resource: Resource, amounts: Amounts) -> int:
    """Return what a call needs of a resource; of the run's time, at least 1 ms."""
    return 1 if resource is _WALL_CLOCK else amounts.of(resource)


def _shortest(lines: BudgetLines, amounts: Amounts) -> BudgetLine | None:
    """Return the line that lacks most for these amounts, None if all have room."""
    short = None
    most = 0
    for line in lines:
        need = _need(line.limit.resource, amounts)
        missing = need - line.room
        if need and missing > most:
            short, most = line, missing
    return short


def _denied(lines: BudgetLines, needed: Amounts, short: BudgetLine) -> Denial:
    whole = tuple(BudgetLine(line.limit, 0, 0) for line in lines)
    never = _shortest(whole, needed)
    if never is None:
        return Denial(short.limit, short.remaining, never=False)
    return Denial(never.limit, next(line.remaining for line in lines if line.limit is never.limit), never=True)
