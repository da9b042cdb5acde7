"""Measures how fast an account is used, to predict what calls will need. Pure: the clock is passed in."""

import math

from agenttype_sidecar.leases.lease_types import Times


class UsageRate:
    """One account's use by this pod.

    Attributes:
        requested: Whether a call asked since the last tick.
        last_request: When a call asked last.
        rate: Units per second, over the last seconds; a short drop that rises again does not count.
        peak: The most that was used or requested in this period.
    """

    __slots__ = (
        "_highest", "_period_start", "_previous_peak", "_times", "last_request", "peak", "rate", "requested",
    )  # fmt: skip

    def __init__(self, times: Times, used: int, now: float) -> None:
        """Begin with what is used already."""
        self.requested = True
        self.last_request = now
        self.rate = 0.0
        self.peak = used
        self._previous_peak = used
        self._highest = used
        self._period_start = now
        self._times = times

    @property
    def recent_peak(self) -> int:
        """The most that was used or requested recently."""
        return max(self.peak, self._previous_peak)

    def is_idle(self, now: float) -> bool:
        """Return whether no call asked recently."""
        return now - self.last_request >= self._times.idle

    def note(self, now: float, used: int) -> None:
        """Measure how fast the peak of the usage grows; called every `Times.tick`."""
        self.peak = max(self.peak, used)
        if self.requested:
            self.requested, self.last_request = False, now
        growth = max(0, self.peak - self._highest)
        self._highest = max(self._highest, self.peak)
        span = self._times.tick
        self.rate += (growth / span - self.rate) * (1 - math.exp(-span / self._times.ahead))
        if now - self._period_start >= self._times.idle / 2:
            self._previous_peak, self.peak, self._period_start = self.peak, used, now
            self._highest = max(self._previous_peak, self.peak)
        if self.is_idle(now):
            self.rate = 0.0
