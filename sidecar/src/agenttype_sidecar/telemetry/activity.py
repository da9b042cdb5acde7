"""How long the agent's calls take of its life: the union of their intervals, so that what runs at once counts once."""


class Activity:
    """Counts busy seconds; times come from one monotonic clock, in seconds.

    Attributes:
        running: Calls that are running now.
    """

    def __init__(self, now: float, wall: float = 0.0, busy: float = 0.0) -> None:
        """Go on counting where a former process ended: after so many seconds, so many of them busy."""
        self._start = now - wall
        self.running = 0
        self._since = now
        self._busy = busy

    def begin(self, now: float) -> None:
        """A call to a model or a tool begins."""
        if self.running == 0:
            self._since = now
        self.running += 1

    def end(self, now: float) -> None:
        """One that began has ended."""
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
