"""How often a tool server may be called."""

import pytest
from agenttype_api.policy import ToolLimits
from agenttype_sidecar.budget.tool_counts import ToolCounts
from agenttype_sidecar.tools.limits import Allowance, MinuteWindow
from agenttype_sidecar.tools.refusals import ArgumentsTooLarge, CallsExhausted, TooManyCalls
from hypothesis import given
from hypothesis import strategies as st


def test_a_minute_that_is_full_says_when_it_is_not():
    window = MinuteWindow()
    window.add(100.0)
    window.add(130.0)

    assert [window.wait(2, now) for now in (130.0, 159.5, 160.0)] == [30, 1, 0]


@given(st.lists(st.floats(0, 300), max_size=60), st.integers(1, 5))
def test_no_minute_ever_has_more_calls_than_it_may(times, limit):
    window, taken = MinuteWindow(), []
    for now in sorted(times):
        if not window.wait(limit, now):
            window.add(now)
            taken.append(now)

    assert all(taken[place + limit] - taken[place] >= 60 for place in range(len(taken) - limit))


def test_a_refused_call_does_not_count():
    counts = ToolCounts()
    allowance = Allowance("crm", counts)
    limits = ToolLimits(calls_per_minute=1, calls_per_run=10)
    allowance.take(limits, 1, 0.0)

    with pytest.raises(TooManyCalls) as refused:
        allowance.take(limits, 1, 15.0)

    assert (refused.value.retry_after, counts.of("crm")) == (45, 1)


def test_a_run_ends_where_its_calls_do():
    allowance = Allowance("crm", ToolCounts())
    limits = ToolLimits(calls_per_run=1)
    allowance.take(limits, 1, 0.0)
    with pytest.raises(CallsExhausted):
        allowance.take(limits, 1, 0.0)

    allowance.give_back(limits)

    allowance.take(limits, 1, 0.0)


def test_a_run_of_no_calls_has_none():
    with pytest.raises(CallsExhausted):
        Allowance("crm", ToolCounts()).take(ToolLimits(calls_per_run=0), 1, 0.0)


def test_a_large_message_is_refused():
    with pytest.raises(ArgumentsTooLarge):
        Allowance("crm", ToolCounts()).take(ToolLimits(argument_bytes=3), 4, 0.0)
