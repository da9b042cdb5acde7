"""A circuit breaker: a backend that keeps failing gets no calls for a while. Pure: the clock is passed in.

It opens after `CONSECUTIVE` failures in a row, or when half of at least `LEAST` calls of the last `WINDOW` seconds
failed. After a pause one call may try (half-open): its success closes the breaker, its failure doubles the pause.
"""

from collections import deque
from enum import Enum
from typing import Final

CONSECUTIVE: Final = 5
LEAST: Final = 20
WINDOW: Final = 10.0
#: Seconds for which it stays open at first, and at most.
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 30.0
#: A probe without a result after this many seconds counts as lost; another call may try.
PROBE_SECONDS: Final = 60.0
#: The most calls that the window remembers.
_REMEMBERED: Final = 1000


class BreakerState(Enum):
    """The state of a breaker; the value is that of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """The breaker of one backend; times are monotonic seconds."""

    def __init__(self) -> None:
        self._failures = 0
        self._calls: deque[tuple[float, bool]] = deque(maxlen=_REMEMBERED)
        self._failed = 0
        self._pause = 0.0
        self._until: float | None = None
        self._probe: float | None = None

    def state(self, now: float) -> BreakerState:
        """Return its state now."""
        if self._until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def admits(self, now: float) -> bool:
        """Return whether a call may go; its result must then be reported with `succeeded`, `failed` or `forgotten`."""
        if self._until is None:
            return True
        if now < self._until or (self._probe is not None and now < self._probe + PROBE_SECONDS):
            return False
        self._probe = now
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until it may admit a call."""
        return 0.0 if self._until is None else max(0.0, self._until - now)

    def succeeded(self, now: float) -> None:
        """Record that the backend answered; a refusal counts too, because it shows that the backend works."""
        self._failures = 0
        self._probe = None
        if self._until is not None:
            self._until, self._pause, self._failed = None, 0.0, 0
            self._calls.clear()
        self._count(now, failed=False)

    def failed(self, now: float) -> None:
        """Record that the backend failed, or could not be reached."""
        if self._until is not None:
            if self._probe is not None:
                self._open(now)
            return  # calls that were running when it opened add no information
        self._failures += 1
        self._count(now, failed=True)
        if self._failures >= CONSECUTIVE or (len(self._calls) >= LEAST and self._failed * 2 >= len(self._calls)):
            self._open(now)

    def forgotten(self) -> None:
        """Record that an admitted call ended without saying anything about the backend."""
        self._probe = None

    def _open(self, now: float) -> None:
        self._pause = min(self._pause * 2, LONGEST_PAUSE) if self._pause else FIRST_PAUSE
        self._until = now + self._pause
        self._probe = None
        self._failures = self._failed = 0
        self._calls.clear()

    def _count(self, now: float, *, failed: bool) -> None:
        if len(self._calls) == _REMEMBERED:
            self._failed -= self._calls.popleft()[1]
        self._calls.append((now, failed))
        self._failed += failed
        while self._calls[0][0] <= now - WINDOW:
            self._failed -= self._calls.popleft()[1]
