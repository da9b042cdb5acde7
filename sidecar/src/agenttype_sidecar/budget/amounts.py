"""Amounts of everything that a limit can count. Pure.

A new resource (`agenttype_api.v1alpha1.Resource`) begins here: a member of `Amounts` and its position. Then
`reservation` bounds it before a call, `ledger_schema` has its column, and `llm.settlement` or `tools.call_checks` says
what a call took of it.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from agenttype_api.v1alpha1 import Resource

#: The position of a resource in `Amounts`.
_PLACES: Final = {
    Resource.INPUT_TOKENS: 0,
    Resource.OUTPUT_TOKENS: 1,
    Resource.REQUESTS: 2,
    Resource.COST: 3,
    Resource.TOOL_CALLS: 4,
    Resource.TOOL_TIME: 5,
}
#: Used at every call, and looking up a member of an enumeration is slow.
_TOKENS: Final = Resource.TOKENS
#: What a named tuple's own constructor ends with; checking the arguments is half of that constructor's cost.
_new: Final[Callable[[type["Amounts"], tuple[int, ...]], "Amounts"]] = tuple.__new__


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
        return _new(Amounts, (a + u, b + v, c + w, d + x, e + y, f + z))

    def minus(self, other: "Amounts") -> "Amounts":
        """Return the difference."""
        a, b, c, d, e, f = self
        u, v, w, x, y, z = other
        return _new(Amounts, (a - u, b - v, c - w, d - x, e - y, f - z))

    def exceed(self, other: "Amounts") -> bool:
        """Return whether any amount is larger than the other's."""
        a, b, c, d, e, f = self
        u, v, w, x, y, z = other
        return a > u or b > v or c > w or d > x or e > y or f > z

    def of(self, resource: Resource) -> int:
        """Return the amount of one resource; 0 for WallClock, which no call adds to."""
        if resource is _TOKENS:
            return self.input + self.output
        place = _PLACES.get(resource)
        return 0 if place is None else self[place]


NOTHING: Final = Amounts()
