"""How fast an account is used, as far as it matters for what comes. Pure: whoever asks says what time it is."""

import math

from agenttype_sidecar.leases.terms import Times


class UsageRate:
    """One account's use by this pod.

    Attributes:
        asked: Whether anybody asked since the last look at it.
        quiet: When somebody asked last.
        rate: Units a second, over the last seconds; what was lower for a moment and rose again does not count.
        peak: The most that was used or wanted in this turn.
    """

    __slots__ = ("_before", "_high", "_times", "_turned", "asked", "peak", "quiet", "rate")

    def __init__(self, times: Times, used: int, now: float) -> None:
        """Begin with what is used already."""
        self.asked = True
        self.quiet = now
        self.rate = 0.0
        self.peak = used
        self._before = used
        self._high = used
        self._turned = now
        self._times = times

    @property
    def recent_peak(self) -> int:
        """The most that was used or wanted lately."""
        return max(self.peak, self._before)

    def is_idle(self, now: float) -> bool:
        """Return whether nobody asked lately."""
        return now - self.quiet >= self._times.idle

    def note(self, now: float, used: int) -> None:
        """Measure how fast the most that was used grows; called every `Times.tick`."""
        self.peak = max(self.peak, used)
        if self.asked:
            self.asked, self.quiet = False, now
        growth = max(0, self.peak - self._high)
        self._high = max(self._high, self.peak)
        span = self._times.tick
        self.rate += (growth / span - self.rate) * (1 - math.exp(-span / self._times.ahead))
        if now - self._turned >= self._times.idle / 2:
            self._before, self.peak, self._turned = self.peak, used, now
            self._high = max(self._before, self.peak)
        if self.is_idle(now):
            self.rate = 0.0
