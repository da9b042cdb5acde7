import pytest
from agenttype_sidecar.backends import retry_budget
from agenttype_sidecar.backends.breaker import Breaker, BreakerState
from agenttype_sidecar.backends.retry_budget import RetryBudget
from hypothesis import given
from hypothesis import strategies as st


def broken(*, at=0.0):
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(at)
    return breaker


def test_five_failures_in_a_row_open_it():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0)
    assert breaker.state(0) is BreakerState.CLOSED
    breaker.failed(0)
    assert (breaker.state(0), breaker.admits(0), breaker.wait(1)) == (BreakerState.OPEN, False, 4.0)


def test_a_success_in_between_starts_the_row_anew():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0)
    breaker.succeeded(0)
    for _ in range(4):
        breaker.failed(0)
    assert breaker.state(0) is BreakerState.CLOSED


def mixed(calls, *, every):
    """One failure among every so many calls, all in one moment."""
    breaker = Breaker()
    for number in range(calls):
        if number % every == every - 1:
            breaker.failed(number / 100)
        else:
            breaker.succeeded(number / 100)
    return breaker


@pytest.mark.parametrize(
    ("calls", "every", "state"),
    [(18, 2, BreakerState.CLOSED), (20, 2, BreakerState.OPEN), (300, 3, BreakerState.CLOSED)],
)
def test_half_of_twenty_calls_open_it_and_a_third_of_many_do_not(calls, every, state):
    assert mixed(calls, every=every).state(3) is state


def test_failures_of_long_ago_do_not_count():
    breaker = mixed(19, every=2)
    for at in (11.0, 11.1, 11.2):
        breaker.failed(at)
    assert breaker.state(11.2) is BreakerState.CLOSED


def test_one_call_at_a_time_tries_whether_the_backend_is_back():
    breaker = broken()
    assert [breaker.admits(at) for at in (4.9, 5.0, 5.1)] == [False, True, False]
    assert breaker.state(5.1) is BreakerState.HALF_OPEN
    breaker.succeeded(6)
    assert [breaker.admits(6), breaker.admits(6)] == [True, True]


def test_a_failed_try_doubles_the_pause_up_to_a_bound():
    breaker, now, pauses = broken(), 5.0, []
    for _ in range(5):
        assert breaker.admits(now)
        breaker.failed(now)
        pauses.append(breaker.wait(now))
        now += pauses[-1]
    assert pauses == [10, 20, 30, 30, 30]


def test_a_try_that_tells_nothing_lets_another_try():
    breaker = broken()
    assert breaker.admits(5)
    breaker.forgotten()
    assert breaker.admits(5)


def test_a_try_that_nobody_reports_is_lost_after_a_minute():
    breaker = broken()
    assert breaker.admits(5)
    assert [breaker.admits(64), breaker.admits(65)] == [False, True]


def test_failures_of_calls_that_were_on_their_way_do_not_lengthen_the_pause():
    breaker = broken()
    breaker.failed(3)
    assert breaker.wait(3) == 2


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=300))
def test_what_the_window_counts_is_what_is_in_it(calls):
    breaker, now = Breaker(), 0.0
    for failed, pause in calls:
        now += pause
        if breaker.admits(now):
            (breaker.failed if failed else breaker.succeeded)(now)
        assert breaker._failed == sum(failed for _, failed in breaker._calls)
        assert all(at > now - 10 for at, _ in breaker._calls) or not breaker.admits(now)


def test_retries_are_a_tenth_of_the_calls_beyond_the_first_few():
    budget = RetryBudget()
    assert [budget.spend() for _ in range(12)] == [True] * 10 + [False] * 2
    for _ in range(100):
        budget.earn()
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(10):
        budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"0", 0), (b"1", 1), (b"5", 5), (b"6", None), (b"86400", None), (b"-1", None), (b"1.5", None),
        (b"Wed, 21 Oct 2026 07:28:00 GMT", None), (b"", None), (None, None), (b"9" * 5000, None),
    ],
)  # fmt: skip
def test_only_a_short_pause_is_waited_for(header, seconds):
    assert retry_budget.pause(header) == seconds
