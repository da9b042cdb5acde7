"""The ledger's process is killed before every single line that it runs; its books are right afterwards.

A child process lives a short life with every step that a ledger knows: calls that are settled, that settle in the next
window, that never reach their backend, and one that is never settled. It tells through a pipe what a backend would
have counted, at the moment when the call would go out. Before line number N of our code it kills itself, for every N.
"""

import json
import os
import signal
import sys

import pytest
from agenttype_api.v1alpha1 import Window
from agenttype_sidecar.budget import (
    balances,
    ledger_file,
    ledger_schema,
    ledger_watermark,
    response_owners,
    tool_counts,
)
from agenttype_sidecar.budget import ledger as ledgers
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.ledger import Clock, Ledger, Stopped
from support.memory_folders import memory_folder

NOON = 1_795_262_400.0
TRACED = {
    module.__file__
    for module in (balances, ledger_file, ledgers, ledger_watermark, response_owners, ledger_schema, tool_counts)
}
#: What each call holds, and what it comes to.
HELD, TOOK = Amounts(100, 50, 1, 400), Amounts(40, 20, 1, 160)
#: Calls of the life that may go out in all, and of them those after the minute has turned.
CALLS, LATE = 5, 2


class Time:
    def __init__(self):
        self.now = NOON

    @property
    def clock(self):
        return Clock(lambda: self.now, lambda: self.now)


def live(folder, sent):
    """Every step of a ledger's life; `sent(late)` is called when a call goes out."""
    time = Time()
    ledger = Ledger(folder, time.clock)
    one = ledger.reserve(HELD)
    ledger.tool_calls.add("crm", 1)
    ledger.dispatch(one)
    sent(late=False)
    ledger.settle(one, TOOK)
    two = ledger.reserve(HELD)
    ledger.dispatch(two)
    sent(late=False)
    ledger.responses.keep("resp_1", "shared")
    refused = ledger.reserve(HELD)
    ledger.dispatch(refused)
    ledger.recall(refused)
    ledger.dispatch(refused)
    sent(late=False)
    ledger.settle(refused, TOOK)
    ledger.flush()
    ledger.draw("team.agent.day", 7, 500)
    time.now += 60
    ledger.advance()
    late = ledger.reserve(HELD)
    ledger.dispatch(late)
    sent(late=True)
    ledger.settle(two, TOOK)
    ledger.release(ledger.reserve(HELD))
    ledger.flush()
    ledger.settle(late, TOOK)
    ledger.stop(Stopped("hash", "enough"))
    never = ledger.reserve(HELD)
    ledger.dispatch(never)
    sent(late=True)
    ledger.close()


@pytest.fixture
def lives():
    with memory_folder() as folder:
        yield folder


def killed_before(line, folder):
    """Live in a child that is killed before a line of ours; return what went out, and whether it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _live_until(line, folder, writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        counted = [json.loads(row) for row in pipe]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return counted, os.WIFSIGNALED(status)


def _live_until(line, folder, writing):
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            seen += 1
            if seen == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    status = 1
    try:
        sys.settrace(trace)
        live(folder, lambda late: os.write(writing, json.dumps(late).encode() + b"\n"))
        status = 0
    finally:
        os._exit(status)


def times(amounts, number):
    return Amounts(*(number * part for part in amounts))


def assert_books(folder, counted):
    """At least what was counted is spent, never more than was held for what may have gone out; and it stays so."""
    time = Time()
    time.now += 60 if any(counted) else 0
    ledger = Ledger(folder, time.clock)
    try:
        total, late = ledger.balances.spent, ledger.balances.spent_in(Window.MINUTE)
        within(total, len(counted), CALLS)
        if any(counted):
            within(late, counted.count(True), LATE)
        assert ledger.balances.held == Amounts()
        assert ledger.tool_calls.of("crm") >= min(1, len(counted))
        spent = ledger.balances.spent
    finally:
        ledger.close()
    again = Ledger(folder, time.clock)
    assert (again.balances.spent, again.orphans.calls) == (spent, 0)
    again.close()


def within(spent, counted, calls):
    least, most = times(TOOK, counted), times(HELD, min(calls, counted + 1))
    assert all(low <= ours <= high for low, ours, high in zip(least, spent, most, strict=True)), (least, spent, most)


@pytest.mark.timeout(300)
def test_a_kill_before_any_line_forgets_nothing_and_charges_nothing_twice(lives):
    line, alive = 0, True
    while alive:
        line += 1
        folder = lives / str(line)
        folder.mkdir()
        counted, alive = killed_before(line, folder)
        assert_books(folder, counted)
    assert len(counted) == CALLS
    assert line > 200
