"""Waiting for what is about to become true: `until` in a thread, `until_async` in an event loop.

Both poll. They rest as long as the condition took, so that a condition which asks a program is not all that a busy
machine does, and one which reads a number is seen at once.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

PATIENCE: Final = 60.0
"""Seconds: several times what the slowest condition takes on a busy machine, and less than a test's own limit."""
_SHORTEST: Final = 0.01
_LONGEST: Final = 0.5

Told = str | Callable[[], object]


def until(
    condition: Callable[[], Any],
    what: Told = "",
    *,
    within: float = PATIENCE,
    ignoring: tuple[type[Exception], ...] = (),
) -> Any:
    """Wait until a condition holds and return what it returned.

    Args:
        condition: Asked again and again; it holds when what it returns is true.
        what: Said when time is up, in addition to the condition's own source: a sentence, or what to call for one.
        within: Seconds.
        ignoring: Exceptions of the condition that only mean "not yet".

    Raises:
        AssertionError: It did not hold within the time.
    """
    wait = _Wait(condition, what, within)
    while True:
        asked = time.monotonic()
        try:
            if found := condition():
                return found
        except ignoring as error:
            wait.error = error
        time.sleep(wait.pause(asked))


async def until_async(
    condition: Callable[[], Any],
    what: Told = "",
    *,
    within: float = PATIENCE,
    ignoring: tuple[type[Exception], ...] = (),
) -> Any:
    """Do what `until` does without blocking the event loop; the condition may be a coroutine function."""
    wait = _Wait(condition, what, within)
    while True:
        asked = time.monotonic()
        try:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
        except ignoring as error:
            wait.error = error
        await asyncio.sleep(wait.pause(asked))


class _Wait:
    """One wait: when it ends, and what is said then."""

    def __init__(self, condition: Callable[[], Any], what: Told, within: float) -> None:
        self.error: Exception | None = None
        self._condition = condition
        self._what = what
        self._within = within
        self._due = time.monotonic() + within

    def pause(self, asked: float) -> float:
        """Return how long to rest after a condition that was asked at `asked`; raise when time is up."""
        now = time.monotonic()
        if now > self._due:
            raise AssertionError(self._complaint()) from self.error
        return min(_LONGEST, max(_SHORTEST, now - asked))

    def _complaint(self) -> str:
        said = str(self._what() if callable(self._what) else self._what)
        parts = (f"not true within {self._within:g} s", _source(self._condition), said, str(self.error or ""))
        return ": ".join(part for part in parts if part)


def _source(condition: Callable[[], Any]) -> str:
    try:
        return " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return repr(condition)
