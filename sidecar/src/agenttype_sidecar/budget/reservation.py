"""What a call may cost at most, whether that fits, and how much of it is left to the answer. Pure: no clock, no I/O.

Every limit counts a resource of `Amounts`. A call is admitted with an upper bound of what it can cost and keeps that
much aside until the true cost is known, so `spent + held ≤ limit` holds at every moment, however many calls run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import OnLimit, Resource

#: Fewer tokens than this are no answer: a call is refused rather than clamped below it.
MIN_OUTPUT: Final = 16
#: What an answer may take where neither the caller nor the policy bounds it: more than most answers, and no model
#: that is offered today refuses it as too much.
DEFAULT_OUTPUT: Final = 4096
_OF_TOKENS: Final = (Resource.TOKENS, Resource.INPUT_TOKENS, Resource.OUTPUT_TOKENS, Resource.COST)
#: Where in `Amounts` a resource is.
_PLACES: Final = {
    Resource.INPUT_TOKENS: 0,
    Resource.OUTPUT_TOKENS: 1,
    Resource.REQUESTS: 2,
    Resource.COST: 3,
    Resource.TOOL_CALLS: 4,
    Resource.TOOL_TIME: 5,
}
#: Tokens that a chat template adds on top of the body's bytes.
TEMPLATE_TOKENS: Final = 64
#: And where tools are declared: templates explain at some length how to call one.
TOOL_TOKENS: Final = 256


class Amounts(NamedTuple):
    """Amounts of everything that adds up: tokens, calls, nano-dollars, and milliseconds of tools."""

    input: int = 0
    output: int = 0
    requests: int = 0
    cost: int = 0
    tool_calls: int = 0
    tool_ms: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        """Return the sum."""
        a, b, c, d, e, f = self
        u, v, w, x, y, z = other
        return Amounts(a + u, b + v, c + w, d + x, e + y, f + z)

    def minus(self, other: "Amounts") -> "Amounts":
        """Return the difference."""
        a, b, c, d, e, f = self
        u, v, w, x, y, z = other
        return Amounts(a - u, b - v, c - w, d - x, e - y, f - z)

    def of(self, resource: Resource) -> int:
        """Return the amount of one resource; WallClock, which no call adds to, is none of them."""
        if resource is Resource.TOKENS:
            return self.input + self.output
        place = _PLACES.get(resource)
        return 0 if place is None else self[place]


NOTHING: Final = Amounts()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call wants.

    Attributes:
        prompt: Upper bound of its input tokens.
        output: Tokens that one answer may have, as the caller wrote it; None where it did not.
        answers: How many answers it asks for (n, best_of, several prompts).
        context: Tokens that prompt and one answer can have together; None where nobody told.
    """

    prompt: int
    output: int | None
    answers: int = 1
    context: int | None = None


class Grant(NamedTuple):
    """The call may go: hold `amounts`; `output` goes upstream as its bound, None leaves the body as it is."""

    amounts: Amounts
    output: int | None
    clamped: bool


class Denial(NamedTuple):
    """The call may not go: `limit` has only `remaining` left; `never`: not even an unspent limit would hold it."""

    limit: Limit
    remaining: int
    never: bool


class Line(NamedTuple):
    """One row of the budget table."""

    limit: Limit
    spent: int
    held: int

    @property
    def remaining(self) -> int:
        """What a new call can have; never below zero, though a limit can be lowered below what is spent."""
        return max(0, self.limit.max - self.spent - self.held)


def prompt_bound(size: int, context: int | None, prompts: int = 1, *, tools: bool = False) -> int:
    """Return an upper bound of the input tokens of a body of `size` bytes that perhaps declares tools.

    A byte-level tokenizer makes at most one token of a byte, and the body's JSON syntax outweighs what a chat
    template writes around the messages. The engine refuses what exceeds its context.
    """
    bound = size + TEMPLATE_TOKENS + (TOOL_TOKENS if tools else 0)
    return bound if context is None else min(bound, context * prompts)


def counts_tokens(limits: Iterable[Limit]) -> bool:
    """Return whether any limit depends on how many tokens a call takes."""
    return any(limit.resource in _OF_TOKENS for limit in limits)


def decide(limits: tuple[Limit, ...], used: Amounts, ask: Ask, on_limit: OnLimit) -> Grant | Denial:
    """Decide on a call: what to hold and how long its answer may be, or which limit denies it.

    Args:
        limits: the limits of the policy.
        used: what is spent and held.
        ask: what the call wants.
        on_limit: whether an answer may be shortened to what is left.
    """
    if not counts_tokens(limits):
        amounts = Amounts(requests=1)
        tightest = _tightest(limits, used, amounts)
        return Grant(amounts, None, clamped=False) if tightest is None else _denied(limits, used, amounts, tightest)
    wanted = _wanted(ask)
    whole = Amounts(ask.prompt, wanted * ask.answers, 1)
    tightest = _tightest(limits, used, whole)
    if tightest is None:
        return Grant(whole, ask.output if ask.output is not None else wanted, clamped=False)
    least = min(MIN_OUTPUT, wanted) if on_limit is OnLimit.CLAMP else wanted
    output = _affordable(limits, used, ask)
    needed = Amounts(ask.prompt, least * ask.answers, 1)
    if on_limit is OnLimit.REJECT or output < least or _tightest(limits, used, needed):
        return _denied(limits, used, needed, _tightest(limits, used, needed) or tightest)
    output = min(output, wanted)
    return Grant(Amounts(ask.prompt, output * ask.answers, 1), output, clamped=True)


def _wanted(ask: Ask) -> int:
    """Output tokens that one answer can have at most."""
    if ask.context is None:
        return DEFAULT_OUTPUT if ask.output is None else ask.output
    if ask.output is not None:
        return min(ask.output, ask.context)
    return max(MIN_OUTPUT, ask.context - ask.prompt)


def _affordable(limits: tuple[Limit, ...], used: Amounts, ask: Ask) -> int:
    """Output tokens per answer for which every limit has room."""
    rooms = []
    for limit in limits:
        room = limit.max - used.of(limit.resource)
        if limit.resource is Resource.TOKENS:
            rooms.append((room - ask.prompt) // ask.answers)
        elif limit.resource is Resource.OUTPUT_TOKENS:
            rooms.append(room // ask.answers)
    return min(rooms, default=_wanted(ask))


def _tightest(limits: tuple[Limit, ...], used: Amounts, amounts: Amounts) -> Limit | None:
    """Return the limit that misses most for these amounts, None when all hold them."""
    short = None
    most = 0
    for limit in limits:
        missing = used.of(limit.resource) + amounts.of(limit.resource) - limit.max
        if missing > most:
            short, most = limit, missing
    return short


def _denied(limits: tuple[Limit, ...], used: Amounts, needed: Amounts, tightest: Limit) -> Denial:
    never = _tightest(limits, NOTHING, needed)
    limit = never or tightest
    return Denial(limit, max(0, limit.max - used.of(limit.resource)), never=never is not None)
