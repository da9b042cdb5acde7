"""The time in which the agent's calls run: the union of their intervals, so that parallel calls count once."""


class Activity:
    """Counts busy seconds; all times are seconds of one monotonic clock.

    Attributes:
        running: Calls that are running now.
    """

    def __init__(self, now: float, wall: float = 0.0, busy: float = 0.0) -> None:
        """Continue the count of a former process, which ran for `wall` seconds, `busy` of them with calls."""
        self._start = now - wall
        self.running = 0
        self._since = now
        self._busy = busy

    def begin(self, now: float) -> None:
        """Record that a call to a model or a tool begins."""
        if self.running == 0:
            self._since = now
        self.running += 1

    def end(self, now: float) -> None:
        """Record that a call has ended."""
        self.running -= 1
        if self.running == 0:
            self._busy += now - self._since

    def wall(self, now: float) -> float:
        """Return the seconds since the start."""
        return now - self._start

    def busy(self, now: float) -> float:
        """Return the seconds in which at least one call was running."""
        return self._busy + (now - self._since if self.running else 0.0)

    def utilization(self, now: float) -> float:
        """Return busy over wall, from 0 to 1."""
        wall = self.wall(now)
        return self.busy(now) / wall if wall > 0 else 0.0
