"""Deadlines that are cheap to move."""

from dataclasses import dataclass, field
from math import inf

import pytest
from agenttype_proxy.watchdog import Watchdog


@dataclass
class Timer:
    due: float
    callback: object
    cancelled: bool = False

    def when(self) -> float:
        return self.due

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Clock:
    """As much of an event loop as a watchdog needs; time passes when a test says so."""

    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, due, callback) -> Timer:
        self.timers.append(Timer(due, callback))
        return self.timers[-1]

    def pass_until(self, now: float) -> None:
        while ripe := [timer for timer in self.timers if timer.due <= now and not timer.cancelled]:
            timer = min(ripe, key=Timer.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.due)
            timer.callback()
        self.now = now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def expiries():
    return []


@pytest.fixture
def watchdog(clock, expiries):
    return Watchdog(clock, lambda: expiries.append(clock.now))


def test_a_deadline_that_passes_is_told_once(clock, watchdog, expiries):
    watchdog.watch(5)
    clock.pass_until(20)
    assert expiries == [5]


def test_a_deadline_moved_later_expires_later(clock, watchdog, expiries):
    watchdog.watch(5)
    clock.pass_until(4)
    watchdog.watch(9)
    clock.pass_until(20)
    assert expiries == [9]


def test_a_deadline_moved_earlier_expires_earlier(clock, watchdog, expiries):
    watchdog.watch(9)
    watchdog.watch(5)
    clock.pass_until(20)
    assert expiries == [5]


def test_a_resting_watchdog_does_not_expire(clock, watchdog, expiries):
    watchdog.watch(5)
    watchdog.watch(inf)
    clock.pass_until(20)
    assert expiries == []
    watchdog.watch(25)
    clock.pass_until(30)
    assert expiries == [25]


def test_a_stopped_watchdog_leaves_no_timer(clock, watchdog, expiries):
    watchdog.watch(5)
    watchdog.stop()
    assert [timer.cancelled for timer in clock.timers] == [True]
    clock.pass_until(20)
    assert expiries == []


def test_moving_a_deadline_later_costs_no_timer(clock, watchdog):
    for due in range(5, 1000):
        watchdog.watch(due)
    assert len(clock.timers) == 1
