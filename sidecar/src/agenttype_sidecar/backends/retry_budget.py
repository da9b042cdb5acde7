"""Limits how often calls are sent again, so that retries cannot overload a failing backend. Pure."""

from typing import Final

#: Retries of one call, besides the first attempt.
MOST: Final = 2
#: One retry per so many calls.
SHARE: Final = 10
#: Retries that are available at the start, and the most that can be saved up.
SAVED: Final = 10
#: If a backend asks for a longer pause than this, the call does not wait; seconds.
LONGEST_PAUSE: Final = 5.0


class RetryBudget:
    """Earned by calls, spent by retries; one per sidecar."""

    def __init__(self) -> None:
        self._parts = SAVED * SHARE  # of a retry, so that no rounding loses one

    def earn(self) -> None:
        """Record a call."""
        self._parts = min(SAVED * SHARE, self._parts + 1)

    def spend(self) -> bool:
        """Use a retry; return False if none is left."""
        if self._parts < SHARE:
            return False
        self._parts -= SHARE
        return True


def pause(retry_after: bytes | None) -> float | None:
    """Return the seconds of a Retry-After header, None if they are too many or it is a date."""
    if retry_after is None or not retry_after.isdigit() or len(retry_after) > 1 + len(str(LONGEST_PAUSE)):
        return None
    seconds = int(retry_after)
    return seconds if seconds <= LONGEST_PAUSE else None
