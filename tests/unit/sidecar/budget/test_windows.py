from datetime import UTC, datetime

import pytest
from agenttype_api.v1alpha1 import Window
from agenttype_sidecar.budget import windows
from hypothesis import given
from hypothesis import strategies as st

moments = st.floats(0, 4_000_000_000, allow_nan=False)


def unix(*when):
    return datetime(*when, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("window", "when", "expected"),
    [
        (Window.MINUTE, (1970, 1, 1, 0, 2, 59), 2),
        (Window.HOUR, (1970, 1, 1, 3, 59, 59), 3),
        (Window.DAY, (1970, 1, 5, 23, 59, 59), 4),
        (Window.MONTH, (1970, 12, 31, 23, 59, 59), 11),
        (Window.MONTH, (1971, 1, 1), 12),
        (Window.MONTH, (2028, 2, 29), 58 * 12 + 1),
        (Window.RUN, (2026, 11, 21), 0),
        (Window.FOREVER, (2026, 11, 21), 0),
    ],
)
def test_a_window_is_aligned_to_the_clock_in_utc(window, when, expected):
    assert windows.index(window, windows.minute(unix(*when))) == expected


@pytest.mark.parametrize(
    ("window", "expected"),
    [(Window.MINUTE, 30), (Window.HOUR, 30), (Window.DAY, 30), (Window.MONTH, 30), (Window.RUN, None),
     (Window.FOREVER, None)],
)  # fmt: skip
def test_all_windows_start_anew_at_the_turn_of_the_year(window, expected):
    now = unix(2026, 12, 31, 23, 59, 30)
    assert windows.resets_in(window, windows.minute(now), now) == expected


@given(st.sampled_from(windows.CLOCK_WINDOWS), moments)
def test_the_next_window_begins_when_it_is_said_to(window, now):
    minute = windows.minute(now)
    reset = windows.resets_in(window, minute, now)
    index, begins = windows.index(window, minute), now + reset
    assert reset > 0
    assert windows.index(window, windows.minute(begins + 0.001)) == index + 1
    assert windows.index(window, windows.minute(begins - 0.001)) == index


@given(st.sampled_from(list(Window)), moments, moments)
def test_an_index_never_falls_as_time_goes_on(window, one, other):
    earlier, later = sorted((windows.minute(one), windows.minute(other)))
    assert windows.index(window, earlier) <= windows.index(window, later)


def test_a_clock_that_was_set_back_waits_for_the_window_that_it_had_reached():
    reached = windows.minute(unix(2026, 11, 21, 12, 0))
    assert windows.resets_in(Window.HOUR, reached, unix(2026, 11, 21, 11, 0)) == 7200
