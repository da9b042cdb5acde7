"""Which stretch of time a moment belongs to, and when the next one begins. Pure; all of it in UTC.

A window has an index that grows with time: whoever counts keeps it beside the count, so nothing is ever reset. Moments
are whole minutes since 1970, the finest window there is.
"""

from datetime import UTC, datetime
from typing import Final

from agenttype_api.v1alpha1 import Window

#: Windows that start anew by the clock.
TURNING: Final = (Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH)

_MINUTES: Final = {Window.MINUTE: 1, Window.HOUR: 60, Window.DAY: 1440}
_SECONDS: Final = 60
_YEAR: Final = 1970
_MONTHS: Final = 12


def minute(at: float) -> int:
    """Return the minute of a moment in Unix seconds."""
    return int(at // _SECONDS)


def index(window: Window, at: int) -> int:
    """Return a window's index at a minute; 0 for ever where it never starts anew."""
    if window in _MINUTES:
        return at // _MINUTES[window]
    if window is not Window.MONTH:
        return 0
    day = datetime.fromtimestamp(at * _SECONDS, UTC)
    return (day.year - _YEAR) * _MONTHS + day.month - 1


def resets_in(window: Window, at: int, now: float) -> float | None:
    """Return the seconds from `now` until the window of minute `at` is over; None where it never is.

    Args:
        window: which.
        at: the minute whose window is meant.
        now: Unix seconds; may lie before `at` where the clock was set back.
    """
    if window in _MINUTES:
        length = _MINUTES[window]
        end = (at // length + 1) * length * _SECONDS
    elif window is Window.MONTH:
        year, month = divmod(index(window, at) + 1, _MONTHS)
        end = int(datetime(_YEAR + year, month + 1, 1, tzinfo=UTC).timestamp())
    else:
        return None
    return end - now
