"""What of a tool call's duration is charged."""

import math

from agenttype_sidecar.tools import calls
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10_000_000), st.floats(0, 20_000))
def test_no_more_is_charged_than_was_held(held, seconds):
    assert math.ceil(calls.tool_time(seconds, held / 1000) * 1000) <= held


@given(st.integers(2, 10_000_000))
def test_a_call_that_takes_all_of_its_time_is_charged_all_of_it(held):
    assert math.ceil(calls.tool_time(held / 1000, held / 1000) * 1000) == held


def test_a_shorter_call_is_charged_its_own_time():
    assert calls.tool_time(0.25, 20.0) == 0.25
