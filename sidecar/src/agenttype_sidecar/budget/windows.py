"""Which window a time belongs to, and when the next one begins. Pure; all of it in UTC.

A window has an index that grows with time. A count is kept with its index, so nothing is ever reset. Times are whole
minutes since 1970; a minute is the shortest window.
"""

from datetime import UTC, datetime
from typing import Final

from agenttype_api.v1alpha1 import Window

#: Windows that start again by the clock.
CLOCK_WINDOWS: Final = (Window.MINUTE, Window.HOUR, Window.DAY, Window.MONTH)

_MINUTES: Final = {Window.MINUTE: 1, Window.HOUR: 60, Window.DAY: 1440}
_SECONDS: Final = 60
_YEAR: Final = 1970
_MONTHS: Final = 12


def minute(at: float) -> int:
    """Return the minute of a time in Unix seconds."""
    return int(at // _SECONDS)


def index(window: Window, at: int) -> int:
    """Return a window's index at a minute; always 0 for a window that never starts again."""
    if window in _MINUTES:
        return at // _MINUTES[window]
    if window is not Window.MONTH:
        return 0
    day = datetime.fromtimestamp(at * _SECONDS, UTC)
    return (day.year - _YEAR) * _MONTHS + day.month - 1


def resets_in(window: Window, at: int, now: float) -> float | None:
    """Return the seconds from `now` until the window of minute `at` ends; None if it never does.

    Args:
        window: the kind of window.
        at: a minute of the window.
        now: Unix seconds; may be before `at` if the clock was set back.
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
