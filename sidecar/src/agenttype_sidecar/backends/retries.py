"""How often calls may be sent again: rarely, so that retries cannot drown a backend that is struggling. Pure."""

from typing import Final

#: Of one call, besides the first attempt.
MOST: Final = 2
#: Of all calls, one in so many.
SHARE: Final = 10
#: What an agent that calls little may use before it has earned any, and what can be saved up.
SAVED: Final = 10
#: A backend that asks for a longer pause than this is not waited for, in seconds.
LONGEST_PAUSE: Final = 5.0


class RetryBudget:
    """Earned by calls, spent by retries; one per sidecar."""

    def __init__(self) -> None:
        self._parts = SAVED * SHARE  # of a retry, so that no rounding loses one

    def earn(self) -> None:
        """Note a call."""
        self._parts = min(SAVED * SHARE, self._parts + 1)

    def spend(self) -> bool:
        """Take a retry; return False where none is left."""
        if self._parts < SHARE:
            return False
        self._parts -= SHARE
        return True


def pause(retry_after: bytes | None) -> float | None:
    """Return the seconds that a header Retry-After asks for, None where it is not worth it or says a date."""
    if retry_after is None or not retry_after.isdigit() or len(retry_after) > 1 + len(str(LONGEST_PAUSE)):
        return None
    seconds = int(retry_after)
    return seconds if seconds <= LONGEST_PAUSE else None
