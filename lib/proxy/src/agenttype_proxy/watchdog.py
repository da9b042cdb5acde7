"""A deadline that is cheap to change."""

import asyncio
from collections.abc import Callable
from math import inf

_CLOCK_STEP = 0.001  # uvloop's clock counts milliseconds: a timer may fire this early by that clock


class Watchdog:
    """Calls ``expired`` once its deadline has passed; changing the deadline is an assignment, not a timer.

    A proxied call has several deadlines, and nearly all of them are met. Setting and cancelling a timer for each costs
    more than the parsing. So a single timer keeps running, and checks when it fires whether the deadline has changed.
    """

    __slots__ = ("_due", "_expired", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._due = inf
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, due: float) -> None:
        """Expire at ``due`` on the loop's clock; this replaces the previous deadline, and ``inf`` means none."""
        self._due = due
        if due == inf:
            return
        timer = self._timer
        if timer is None:
            self._timer = self._loop.call_at(due, self._look)
        elif due < timer.when():
            timer.cancel()
            self._timer = self._loop.call_at(due, self._look)

    def stop(self) -> None:
        """Never expire again."""
        self._due = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due == inf:
            return
        if self._due - self._loop.time() > _CLOCK_STEP:
            self._timer = self._loop.call_at(self._due, self._look)
            return
        self._due = inf
        self._expired()
