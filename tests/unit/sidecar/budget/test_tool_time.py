"""What of a tool call's duration is charged."""

import pytest
from agenttype_sidecar.budget import tool_time
from agenttype_sidecar.budget.amounts import Amounts
from hypothesis import given
from hypothesis import strategies as st

MILLISECONDS = st.integers(1, 10_000_000)


def charged(seconds, held):
    return tool_time.cost(seconds, Amounts(tool_calls=1, tool_ms=held))


@given(MILLISECONDS, st.floats(-1, 20_000))
def test_no_more_is_charged_than_was_held(held, seconds):
    assert 0 <= charged(seconds, held).tool_ms <= held


@given(MILLISECONDS, MILLISECONDS)
def test_a_call_is_charged_the_milliseconds_that_it_took(took, more):
    assert charged(took / 1000, took + more) == Amounts(tool_calls=1, tool_ms=took)


@given(MILLISECONDS)
def test_a_call_that_takes_all_of_its_time_is_charged_all_of_it(held):
    assert charged(held / 1000, held).tool_ms == held


@given(st.floats(0.001, 10_000), MILLISECONDS)
def test_no_less_is_charged_than_was_taken_but_for_a_microsecond(seconds, held):
    assert charged(seconds, held).tool_ms >= min(held, seconds * 1000 - 0.001)


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.25, 250), (0.2501, 251), (0.0, 0), (1.1, 1100), (4.35, 4350)])
def test_a_part_of_a_millisecond_is_one_and_what_binary_numbers_make_of_it_is_none(seconds, milliseconds):
    assert charged(seconds, 20_000).tool_ms == milliseconds


@given(MILLISECONDS)
def test_a_limit_in_whole_milliseconds_is_held_as_it_was_written(limit):
    assert tool_time.limit(limit / 1000) == limit


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.0, 1), (0.0004, 1), (0.0029, 2), (4.35, 4350), (1.005, 1005)])
def test_a_call_may_take_the_whole_milliseconds_of_its_limit_and_one_at_least(seconds, milliseconds):
    assert tool_time.limit(seconds) == milliseconds
