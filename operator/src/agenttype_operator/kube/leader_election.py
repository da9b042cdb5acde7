"""Leader election: the rules of a Lease, pure; the clock is an argument.

A foreign Lease is judged by what we saw of it: it has expired when its record has not changed for its whole duration
on our own monotonic clock. Wall clocks of other machines decide nothing. We stop writing before others may begin:
the renew deadline is shorter than the duration.
"""

from dataclasses import dataclass
from typing import Final

DURATION: Final = 15.0
RENEW_DEADLINE: Final = 10.0
PERIOD: Final = 2.0


@dataclass(frozen=True)
class Record:
    """What a Lease says; `version` changes with every write of it."""

    holder: str
    version: str
    duration: float = DURATION


class Election:
    """One candidate's view; times in seconds of a monotonic clock."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._seen: Record | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    def observe(self, record: Record | None, now: float) -> None:
        """Take in the Lease as it was read; None when there is none."""
        if record != self._seen:
            self._seen, self._seen_at = record, now

    def may_take(self, now: float) -> bool:
        """Whether we may write ourselves into the Lease: it is ours, free, or has not changed for its duration."""
        seen = self._seen
        if seen is None or seen.holder in {"", self._identity}:
            return True
        return now - self._seen_at >= seen.duration

    def renewed(self, record: Record, asked_at: float) -> None:
        """Take in that the server accepted our record; it counts from when we asked, not from the answer."""
        self._seen, self._seen_at = record, asked_at
        self._renewed_at = asked_at

    def lost(self) -> None:
        """Take in that the Lease is another's, or given back."""
        self._renewed_at = None

    def leads(self, now: float) -> bool:
        """Whether we may still write to the cluster."""
        return self._renewed_at is not None and now - self._renewed_at < RENEW_DEADLINE
