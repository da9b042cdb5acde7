"""Limits how often a tool server may be called. Pure; the counts of a run survive the process, in the ledger."""

import math
from collections import deque

from agenttype_api.policy import ToolLimits

from agenttype_sidecar.budget.tool_counts import ToolCounts
from agenttype_sidecar.tools.refusals import ArgumentsTooLarge, CallsExhausted, TooManyCalls

_MINUTE = 60.0


class MinuteWindow:
    """The calls of the last 60 seconds, not of the clock's minute; it remembers one time per allowed call.

    Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def wait(self, limit: int, now: float) -> int:
        """Return the whole seconds until one more call fits, 0 if it fits now."""
        times = self._times
        while times and now - times[0] >= _MINUTE:
            times.popleft()
        if len(times) < limit:
            return 0
        return max(1, math.ceil(times[len(times) - limit] + _MINUTE - now))

    def add(self, now: float) -> None:
        """Record a call."""
        self._times.append(now)


class Allowance:
    """How often one tool server may still be called, and the calls that count against it."""

    def __init__(self, server: str, counts: ToolCounts) -> None:
        self._server = server
        self._counts = counts
        self._window = MinuteWindow()

    @property
    def calls_this_run(self) -> int:
        """The calls of this run that have gone out, if they are limited."""
        return self._counts.of(self._server)

    def take(self, limits: ToolLimits, size: int, now: float) -> None:
        """Allow a call of `size` bytes and count it.

        Raises:
            ArgumentsTooLarge: Its message is too large.
            TooManyCalls: The calls per minute are used up.
            CallsExhausted: The calls of the run are used up.
        """
        if limits.argument_bytes is not None and size > limits.argument_bytes:
            raise ArgumentsTooLarge(limits.argument_bytes)
        if limits.calls_per_run is not None and self._counts.of(self._server) >= limits.calls_per_run:
            raise CallsExhausted(limits.calls_per_run)
        if limits.calls_per_minute is not None:
            seconds = self._window.wait(limits.calls_per_minute, now)
            if seconds:
                raise TooManyCalls(limits.calls_per_minute, seconds)
        if limits.calls_per_run is not None:
            self._counts.add(self._server, 1)
        if limits.calls_per_minute is not None:
            self._window.add(now)

    def give_back(self, limits: ToolLimits) -> None:
        """Uncount a call of this run that was never sent."""
        if limits.calls_per_run is not None:
            self._counts.add(self._server, -1)
