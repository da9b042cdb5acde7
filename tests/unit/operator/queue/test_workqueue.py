"""The queue's rules, with a clock that stands still until told."""

import pytest
from agenttype_operator.kube.kinds import Key
from agenttype_operator.queue.workqueue import FIRST_DELAY, LONGEST_DELAY, WorkQueue
from hypothesis import given
from hypothesis import strategies as st

ONE, TWO = Key("AgentType", "a", "one"), Key("AgentType", "a", "two")


@pytest.fixture
def schedule():
    return WorkQueue(lambda: 1.0)


def test_a_key_added_twice_is_worked_on_once(schedule):
    schedule.add(ONE, 0)
    schedule.add(ONE, 0)

    assert schedule.take(0) == ONE
    assert schedule.take(0) is None


def test_a_key_is_never_in_two_hands(schedule):
    schedule.add(ONE, 0)
    schedule.take(0)
    schedule.add(ONE, 0)

    assert schedule.take(0) is None


def test_news_during_the_work_lead_to_one_more_look(schedule):
    schedule.add(ONE, 0)
    schedule.take(0)
    schedule.add(ONE, 0)
    schedule.add(ONE, 0)
    schedule.done(ONE, 1)

    assert schedule.take(1) == ONE
    schedule.done(ONE, 2)
    assert schedule.idle


def test_the_key_that_waited_longest_goes_first(schedule):
    schedule.add(TWO, 2)
    schedule.add(ONE, 1)

    assert (schedule.take(3), schedule.take(3)) == (ONE, TWO)


def test_nothing_is_handed_out_before_it_is_due(schedule):
    schedule.add(ONE, 5)

    assert schedule.take(4.9) is None
    assert schedule.next_due() == 5


def test_an_earlier_time_wins(schedule):
    schedule.add(ONE, 5)
    schedule.add(ONE, 1)

    assert schedule.next_due() == 1
    assert schedule.take(1) == ONE
    assert schedule.take(5) is None


def test_a_failing_key_waits_twice_as_long_each_time_up_to_a_minute(schedule):
    delays = []
    schedule.add(ONE, 0)
    now = 0.0
    for _ in range(14):
        schedule.take(now)
        delays.append(schedule.retry(ONE, now))
        now += delays[-1]

    assert delays[:3] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY]
    assert delays[-1] == LONGEST_DELAY


def test_news_make_a_failing_key_due_at_once_with_small_delays(schedule):
    schedule.add(ONE, 0)
    schedule.take(0)
    schedule.retry(ONE, 0)
    schedule.add(ONE, 0)

    assert schedule.take(0) == ONE
    assert schedule.retry(ONE, 0) == FIRST_DELAY


def test_success_forgets_failures(schedule):
    schedule.add(ONE, 0)
    schedule.take(0)
    schedule.retry(ONE, 0)
    schedule.take(1)
    schedule.done(ONE, 1)
    schedule.add(ONE, 2)
    schedule.take(2)

    assert schedule.retry(ONE, 2) == FIRST_DELAY


@given(st.lists(st.tuples(st.sampled_from(["add", "take", "done", "retry"]), st.sampled_from([ONE, TWO])), max_size=60))
def test_no_key_is_ever_lost(steps):
    schedule = WorkQueue(lambda: 1.0)
    wanted, held, now = set(), set(), 0.0
    for step, key in steps:
        now += 0.01
        match step:
            case "add":
                schedule.add(key, now)
                wanted.add(key)
            case "take":
                taken = schedule.take(now)
                held |= {taken} - {None}
                wanted -= {taken}
            case "done" if key in held:
                schedule.done(key, now)
                held.remove(key)
            case "retry" if key in held:
                schedule.retry(key, now)
                held.remove(key)
                wanted.add(key)
    for key in held:
        schedule.done(key, now)
    given_out = {schedule.take(now + 1000) for _ in range(3)} - {None}

    assert given_out == wanted
