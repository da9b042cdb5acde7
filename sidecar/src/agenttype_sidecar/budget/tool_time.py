"""The time that calls of tools take, in whole milliseconds. Pure."""

import math

from agenttype_sidecar.budget.reservation import Amounts


def limit(seconds: float) -> int:
    """Return the milliseconds of a call that may take so long; it may take one."""
    return max(1, math.floor(_milliseconds(seconds)))


def cost(seconds: float, held: Amounts) -> Amounts:
    """Return what a call is charged that took so long: each millisecond that it began, and no more than was held.

    A tool's time ends with its deadline; what lasts longer is its reader's.
    """
    return Amounts(tool_calls=1, tool_ms=min(max(0, math.ceil(_milliseconds(seconds))), held.tool_ms))


def _milliseconds(seconds: float) -> float:
    """Return seconds in milliseconds, to the microsecond: 1.1 s are 1100 ms, not what binary numbers make of them."""
    return round(seconds * 1000, 3)
