import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from agenttype_api.v1alpha1 import OnLimit
from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.book import State
from agenttype_sidecar.budget.ledger import FILE, Ledger
from agenttype_sidecar.budget.reservation import NOTHING, Amounts, Ask, Grant
from agenttype_sidecar.budget.table import Table
from agenttype_sidecar.errors import LedgerCorrupt, LedgerUnavailable, StartError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from sidecars import a_limit

LIMITS = (a_limit(2000), a_limit(1200, "OutputTokens", "answers"), a_limit(40, "Requests", "calls"))
CALL = Amounts(100, 50, 1)


class Life(RuleBasedStateMachine):
    """Calls come and go, and the process is killed at any moment; the money is the model's, the file the ledger's."""

    waiting = Bundle("waiting")
    sent = Bundle("sent")

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name))
        self.really_spent = NOTHING
        self.in_flight = set()
        self.reserved = set()

    def teardown(self):
        self.ledger._db.close()
        self.folder.cleanup()

    @rule(target=waiting, prompt=st.integers(1, 300), output=st.integers(1, 300))
    def reserve(self, prompt, output):
        decision = reservation.decide(Table(self.ledger).lines(LIMITS), Ask(prompt, output), OnLimit.CLAMP)
        if not isinstance(decision, Grant):
            return multiple()
        hold = self.ledger.reserve(decision.amounts)
        self.reserved.add(hold)
        return hold

    @rule(target=sent, hold=consumes(waiting))
    def dispatch(self, hold):
        if hold.state is not State.RESERVED:
            return multiple()
        self.ledger.dispatch(hold)
        self.in_flight.add(hold)
        return hold

    @rule(target=waiting, hold=consumes(sent))
    def recall(self, hold):
        if hold not in self.in_flight:
            return multiple()
        self.ledger.recall(hold)
        self.in_flight.discard(hold)
        return hold

    @rule(hold=sent, share=st.floats(0, 1))
    def settle(self, hold, share):
        cost = Amounts(int(hold.amounts.input * share), int(hold.amounts.output * share), 1)
        if self.ledger.settle(hold, cost):
            self.really_spent = self.really_spent.plus(cost)
        self.in_flight.discard(hold)

    @rule(hold=waiting)
    def release(self, hold):
        self.ledger.release(hold)

    @rule()
    def flush(self):
        assert self.ledger.flush()

    @rule()
    def be_killed(self):
        self.ledger._db.close()  # what SQLite has not committed is lost, as with a kill
        for hold in self.in_flight:
            self.really_spent = self.really_spent.plus(hold.amounts)
        for hold in self.in_flight | self.reserved:
            hold.state = State.CLOSED
        self.in_flight.clear()
        self.reserved.clear()
        self.ledger = Ledger(Path(self.folder.name))

    @invariant()
    def no_limit_is_passed(self):
        used = self.ledger.book.used
        assert [limit.name for limit in LIMITS if used.of(limit.resource) > limit.max] == []

    @invariant()
    def nothing_that_was_spent_is_forgotten(self):
        spent = self.ledger.book.spent
        assert all(ours >= real for ours, real in zip(spent, self.really_spent, strict=True))

    @invariant()
    def held_is_never_negative(self):
        assert min(self.ledger.book.held) >= 0


Life.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def restarted(ledger, folder):
    """The ledger as a process finds it whose predecessor was killed."""
    ledger._db.close()
    return Ledger(folder)


def test_a_settlement_counts_once(ledger):
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    assert ledger.settle(hold, Amounts(10, 5, 1))
    assert not ledger.settle(hold, Amounts(10, 5, 1))
    assert not ledger.release(hold)
    assert (ledger.book.spent, ledger.book.held) == (Amounts(10, 5, 1), NOTHING)


def test_a_dispatched_call_is_charged_in_full_after_a_kill(ledger, tmp_path):
    ledger.dispatch(ledger.reserve(CALL))
    again = restarted(ledger, tmp_path)
    assert (again.book.spent, again.book.held, again.orphans.calls) == (CALL, NOTHING, 1)
    again.close()


def test_a_reserved_call_is_released_by_a_kill(ledger, tmp_path):
    ledger.reserve(CALL)
    again = restarted(ledger, tmp_path)
    assert (again.book.spent, again.orphans.calls) == (NOTHING, 0)
    again.close()


def test_a_recalled_call_is_released_by_a_kill_once_that_is_on_record(ledger, tmp_path):
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    ledger.recall(hold)
    ledger.flush()
    again = restarted(ledger, tmp_path)
    assert again.book.spent == NOTHING
    again.close()


def test_what_was_settled_is_there_after_an_orderly_end(ledger, tmp_path):
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    ledger.settle(hold, Amounts(10, 5, 1))
    ledger.close()
    again = Ledger(tmp_path)
    assert (again.book.spent, again.orphans.calls) == (Amounts(10, 5, 1), 0)
    again.close()


def test_calls_of_two_lives_never_share_a_name(ledger, tmp_path):
    first = ledger.reserve(CALL)
    ledger.dispatch(first)
    again = restarted(ledger, tmp_path)
    assert again.reserve(CALL).number > first.number
    again.close()


def test_settled_calls_leave_no_rows_behind(ledger):
    for _ in range(500):
        hold = ledger.reserve(CALL)
        ledger.dispatch(hold)
        ledger.settle(hold, CALL)
    ledger.flush()
    assert ledger._db.execute("SELECT count(*) FROM hold").fetchone()[0] == 0


@pytest.mark.usefixtures("ledger")
def test_a_second_process_cannot_have_the_ledger(tmp_path):
    with pytest.raises(StartError, match="cannot be opened"):
        Ledger(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00" + bytes(4096)])
def test_a_damaged_ledger_is_never_taken_for_an_empty_one(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(LedgerCorrupt):
        Ledger(tmp_path)


def test_a_ledger_with_a_damaged_page_is_refused(tmp_path):
    Ledger(tmp_path).close()
    raw = bytearray((tmp_path / FILE).read_bytes())
    raw[4096:8192] = b"\xff" * 4096
    (tmp_path / FILE).write_bytes(raw)
    with pytest.raises(LedgerCorrupt):
        Ledger(tmp_path)


def test_another_programs_database_is_refused(tmp_path):
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE t (a)")
    other.commit()
    other.close()
    with pytest.raises(LedgerCorrupt, match="not a ledger"):
        Ledger(tmp_path)


def test_a_ledger_whose_file_is_gone_but_whose_log_is_there_is_refused(tmp_path):
    (tmp_path / f"{FILE}-wal").write_bytes(b"x")
    with pytest.raises(LedgerCorrupt):
        Ledger(tmp_path)


def test_a_creation_that_was_interrupted_is_made_anew(tmp_path):
    (tmp_path / f"{FILE}.new").write_bytes(b"half")
    Ledger(tmp_path).close()


def test_a_ledger_that_cannot_be_written_fails_closed_and_recovers(ledger):
    settled = ledger.reserve(CALL)
    ledger.dispatch(settled)
    ledger.settle(settled, CALL)
    hold = ledger.reserve(CALL)
    ledger._db.execute("PRAGMA query_only = 1")
    with pytest.raises(LedgerUnavailable):
        ledger.dispatch(hold)
    assert hold.state is State.RESERVED
    assert not ledger.flush()
    ledger._db.execute("PRAGMA query_only = 0")
    ledger.dispatch(hold)
    assert not ledger.behind
