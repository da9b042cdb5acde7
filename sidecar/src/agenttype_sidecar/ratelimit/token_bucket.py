"""A token bucket: how many of something may pass in a minute. Pure: the clock is passed in.

A bucket holds a minute's worth and is filled evenly, so a burst may take all of it and the mean rate is kept. What is
taken can be corrected later; a correction may leave less than nothing, which later callers wait out.
"""

from math import inf
from typing import Final

_MINUTE: Final = 60.0


class TokenBucket:
    """One bucket; times are seconds of a clock that only goes forward."""

    __slots__ = ("_level", "_seen", "size")

    def __init__(self, size: int, now: float) -> None:
        """Begin with a full bucket of `size` per minute."""
        self.size = size
        self._level = float(size)
        self._seen = now

    def level(self, now: float) -> float:
        """Return what is in it, below zero after a correction."""
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
        """Take an amount, whether or not it is there; a negative one gives back."""
        self._level = min(self.size, self.level(now) - amount)

    def standing(self, now: float) -> tuple[int, float]:
        """Return what is in it, whole and at least nothing, and the seconds until it is full."""
        level = self.level(now)
        full_after = (self.size - level) * _MINUTE / self.size if self.size else 0.0
        return (int(level) if level > 0 else 0), full_after

    def resize(self, size: int, now: float) -> None:
        """Take another size; what was taken stays taken, in proportion."""
        share = self.level(now) / self.size if self.size else 1.0
        self.size = size
        self._level = size * share
