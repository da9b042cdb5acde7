"""A token bucket: how many of something may pass in a minute. Pure: the clock is passed in.

A bucket holds the amount of one minute and fills evenly: a burst may take all of it, and the mean rate is kept. An
amount can be corrected later. A correction may leave the level below zero; later callers wait for that.
"""

from math import inf
from typing import Final

_MINUTE: Final = 60.0


class TokenBucket:
    """One bucket; times are monotonic seconds."""

    __slots__ = ("_level", "_seen", "size")

    def __init__(self, size: int, now: float) -> None:
        """Begin with a full bucket of `size` per minute."""
        self.size = size
        self._level = float(size)
        self._seen = now

    def level(self, now: float) -> float:
        """Return the current level; it may be below zero after a correction."""
        if now > self._seen:
            self._level = min(self.size, self._level + (now - self._seen) * self.size / _MINUTE)
            self._seen = now
        return self._level

    def wait(self, amount: float, now: float) -> float:
        """Return the seconds until `amount` can be taken: 0 when it can be now, infinite when it never can."""
        missing = amount - self.level(now)
        if missing <= 0:
            return 0.0
        return inf if amount > self.size or not self.size else missing * _MINUTE / self.size

    def take(self, amount: float, now: float) -> None:
        """Take an amount, even if the level is too low; a negative amount gives back."""
        self._level = min(self.size, self.level(now) - amount)

    def standing(self, now: float) -> tuple[int, float]:
        """Return the level, as a whole number of at least 0, and the seconds until the bucket is full."""
        level = self.level(now)
        full_after = (self.size - level) * _MINUTE / self.size if self.size else 0.0
        return (int(level) if level > 0 else 0), full_after

    def resize(self, size: int, now: float) -> None:
        """Change the size; the level keeps its share of the size."""
        share = self.level(now) / self.size if self.size else 1.0
        self.size = size
        self._level = size * share
