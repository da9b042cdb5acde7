"""The time that tool calls take, in whole milliseconds. Pure."""

import math

from agenttype_sidecar.budget.amounts import Amounts


def limit(seconds: float) -> int:
    """Return the milliseconds that a call may take, at least 1."""
    return max(1, math.floor(_milliseconds(seconds)))


def cost(seconds: float, held: Amounts) -> Amounts:
    """Return what a call is charged that took `seconds`: each started millisecond, and no more than was held.

    A tool's time ends with its deadline; anything longer is due to a slow reader.
    """
    return Amounts(tool_calls=1, tool_ms=min(max(0, math.ceil(_milliseconds(seconds))), held.tool_ms))


def _milliseconds(seconds: float) -> float:
    """Return seconds as milliseconds, rounded to the microsecond, so that 1.1 s is 1100 ms in binary numbers too."""
    return round(seconds * 1000, 3)
