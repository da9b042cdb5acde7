"""Callers that take their time are left at their deadline; they all begin with the first test."""

import pytest
from support import process_watch
from support.hostile.slowness import SLOW, STALL
from support.waiting import until

#: Seconds that a busy machine may be late.
SLACK = 30


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in SLOW])
def test_a_slow_caller_is_answered_or_left_at_its_deadline(slow_callers, case):
    heard = slow_callers.outcome(case.name)
    assert heard.statuses == case.statuses
    assert heard.ended != "open"
    assert case.seconds - 0.5 < heard.seconds < case.seconds + SLACK


def test_a_caller_that_reads_nothing_is_left_and_costs_no_memory(slow_callers):
    heard = slow_callers.outcome("a caller that never reads")
    assert STALL - 0.5 < heard.seconds < STALL + SLACK
    assert len(heard.data) < 24


def test_no_slow_caller_reached_the_upstream_but_the_one_that_asked(slow_callers):
    assert len(slow_callers.upstream.arrivals) == 1
    assert slow_callers.upstream.noise == []


def test_after_all_slow_callers_nothing_is_left(slow_callers):
    car = slow_callers.car
    until(lambda: process_watch.sockets(car.process.pid) <= 6)
    assert car.control("/agenttype/v1/status").json["runningCalls"] == 0
    assert car.held() == 0
    assert "Traceback" not in car.log
