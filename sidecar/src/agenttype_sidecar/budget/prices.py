"""What tokens cost. Pure; nano-dollars, and rates in nano-dollars per million tokens, so that sums are rounded once.

A call is held at the highest rate that can apply to it, over all backends that may answer it and every kind of input.
It is charged at the rates of the one that answered.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agenttype_api.policy import Backend, Price

from agenttype_sidecar.routing import globs

MILLION: Final = 1_000_000


class Rate(NamedTuple):
    """The most that a million tokens can cost."""

    input: int = 0
    output: int = 0

    def of(self, prompt: int, output: int) -> int:
        """Return the most that so many tokens can cost."""
        return ceil(prompt * self.input + output * self.output)

    def affords(self, room: int, prompt: int) -> int | None:
        """Return the output tokens that `room` nano-dollars pay for besides the prompt; None: any number.

        Negative if they do not even pay for the prompt.
        """
        left = room * MILLION - prompt * self.input
        if self.output == 0:
            return None if left >= 0 else -1
        return left // self.output

    def or_more(self, other: "Rate") -> "Rate":
        """Return the higher of each rate."""
        return Rate(max(self.input, other.input), max(self.output, other.output))


class Tokens(NamedTuple):
    """The tokens of a call: `cached` was read from a cache and `written` to one; both are part of `input`."""

    input: int
    output: int
    cached: int = 0
    written: int = 0


FREE: Final = Rate()


def ceil(millionths: int) -> int:
    """Return a sum of tokens times rates in nano-dollars, rounded up."""
    return -(-millionths // MILLION)


def price_of(backend: Backend, model: str, alias: str) -> Price | None:
    """Return a backend's first price whose globs match a served name or an adapter's alias; None if it has none."""
    for price in backend.prices:
        matches = globs.glob(price.models).fullmatch
        if matches(model) or (alias and matches(alias)):
            return price
    return None


def highest(prices: Iterable[Price]) -> Rate:
    """Return the most that tokens can cost under any of these prices."""
    rate = FREE
    for price in prices:
        rate = rate.or_more(Rate(max(price.input, price.cached_input, price.cache_write), price.output))
    return rate


def cost(price: Price, tokens: Tokens) -> int:
    """Return what tokens cost; cached and written tokens are bounded by the input tokens."""
    cached = min(tokens.cached, tokens.input)
    written = min(tokens.written, tokens.input - cached)
    plain = tokens.input - cached - written
    return ceil(
        plain * price.input + cached * price.cached_input + written * price.cache_write + tokens.output * price.output
    )
