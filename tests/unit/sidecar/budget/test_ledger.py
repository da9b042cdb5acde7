import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from agenttype_api.v1alpha1 import OnLimit, Window
from agenttype_sidecar.budget import ledger_watermark, reservation, windows
from agenttype_sidecar.budget.balances import HoldState
from agenttype_sidecar.budget.ledger import FILE, Clock, Ledger, Stopped
from agenttype_sidecar.budget.limit_status import LimitStatus
from agenttype_sidecar.budget.prices import Rate
from agenttype_sidecar.budget.reservation import NOTHING, Amounts, Claim, Grant
from agenttype_sidecar.budget.response_owners import MOST
from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.errors import LedgerCorrupt, LedgerUnavailable, StartError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from support.programs.sidecars import a_limit

CALL = Amounts(100, 50, 1)
#: A morning in November, in Unix seconds.
MORNING = 1_795_248_000.0


class FakeTime:
    """Clocks that go as the test says; the wall's can be set, the monotonic one only goes on."""

    def __init__(self, now=MORNING):
        self.wall = now
        self.since_boot = 0.0

    @property
    def clock(self):
        return Clock(lambda: self.wall, lambda: self.since_boot)

    def pass_by(self, seconds):
        self.wall += seconds
        self.since_boot += seconds


LIMITS = (
    a_limit(2000),
    a_limit(1200, "OutputTokens", "answers", window="Hour"),
    a_limit(40, "Requests", "calls"),
    a_limit(700, "Tokens", "minute", window="Minute"),
    a_limit(900_000, "Cost", "day", window="Day"),
)
RATE = Rate(input=1_000_000_000, output=2_000_000_000)


def lines_of(ledger):
    return LimitStatus(ledger, SharedLimits(ledger, Path("no-token"))).lines(LIMITS)


class Life(RuleBasedStateMachine):
    """Calls come and go, clocks are set, and the process is killed at any moment.

    The money is the model's, the file the ledger's. The model knows which windows each call was reserved in, and that
    a clock that is set back ends none of them.
    """

    waiting = Bundle("waiting")
    sent = Bundle("sent")

    def __init__(self):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.time = FakeTime()
        self.ledger = Ledger(Path(self.folder.name), self.time.clock)
        self.latest = self.recorded = self.time.wall
        self.really_spent = {}
        self.windows_of = {}
        self.in_flight = set()
        self.reserved = set()

    def teardown(self):
        self.ledger._db.close()
        self.folder.cleanup()

    def spend(self, hold, cost):
        for window in self.windows_of[hold]:
            self.really_spent[window] = self.really_spent.get(window, NOTHING).plus(cost)

    def present(self):
        return [(window, windows.index(window, windows.minute(self.latest))) for window in Window]

    @rule(seconds=st.sampled_from([1, 20, 61, 3600, 90_000, 40 * 86_400]))
    def time_passes(self, seconds):
        self.time.pass_by(seconds)
        self.latest = max(self.latest, self.time.wall)

    @rule(seconds=st.sampled_from([1, 61, 3600, 90_000, 40 * 86_400]))
    def the_clock_is_set_back(self, seconds):
        self.time.wall -= seconds

    @rule(target=waiting, prompt=st.integers(1, 300), output=st.integers(1, 300))
    def reserve(self, prompt, output):
        self.latest = max(self.latest, self.time.wall)
        ask = Claim(prompt, output, rate=RATE)
        decision = reservation.decide(lines_of(self.ledger), ask, OnLimit.CLAMP)
        if not isinstance(decision, Grant):
            return multiple()
        hold = self.ledger.reserve(decision.amounts)
        self.windows_of[hold] = self.present()
        self.reserved.add(hold)
        return hold

    @rule(target=sent, hold=consumes(waiting))
    def dispatch(self, hold):
        if hold.state is not HoldState.RESERVED:
            return multiple()
        self.ledger.dispatch(hold)
        self.recorded = self.latest
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
        tokens = Amounts(int(hold.amounts.input * share), int(hold.amounts.output * share), 1)
        cost = tokens._replace(cost=RATE.of(tokens.input, tokens.output))
        if self.ledger.settle(hold, cost):
            self.spend(hold, cost)
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
            self.spend(hold, hold.amounts)
        for hold in self.in_flight | self.reserved:
            hold.state = HoldState.CLOSED
        self.in_flight.clear()
        self.reserved.clear()
        self.ledger = Ledger(Path(self.folder.name), self.time.clock)
        # A time may be forgotten after which nothing was sent: nothing was spent in its windows.
        known = self.ledger.balances.minute
        least, most = (max(seen, self.time.wall) for seen in (self.recorded, self.latest))
        assert windows.minute(least) <= known <= windows.minute(most)
        self.latest = self.recorded = known * 60

    @invariant()
    def no_limit_is_passed(self):
        passed = [line for line in lines_of(self.ledger) if line.room < 0]
        assert passed == []

    @invariant()
    def nothing_that_was_spent_is_forgotten(self):
        self.latest = max(self.latest, self.time.wall)
        for window, index in self.present():
            really = self.really_spent.get((window, index), NOTHING)
            assert all(ours >= real for ours, real in zip(self.ledger.balances.spent_in(window), really, strict=True))

    @invariant()
    def held_is_never_negative(self):
        assert min(min(self.ledger.balances.held_in(window)) for window in Window) >= 0


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path)
    yield opened
    opened.close()


def restarted(ledger, tmp_path, time=None):
    """Another process, after the one that had `ledger` was killed."""
    ledger._db.close()
    return Ledger(tmp_path, time and time.clock)


def test_a_settlement_counts_once(ledger):
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    assert ledger.settle(hold, Amounts(10, 5, 1))
    assert not ledger.settle(hold, Amounts(10, 5, 1))
    assert not ledger.release(hold)
    assert (ledger.balances.spent, ledger.balances.held) == (Amounts(10, 5, 1), NOTHING)


def test_a_dispatched_call_is_charged_in_full_after_a_kill(ledger, tmp_path):
    ledger.dispatch(ledger.reserve(CALL))
    again = restarted(ledger, tmp_path)
    assert (again.balances.spent, again.balances.held, again.orphans.calls) == (CALL, NOTHING, 1)
    again.close()


def test_a_reserved_call_is_released_by_a_kill(ledger, tmp_path):
    ledger.reserve(CALL)
    again = restarted(ledger, tmp_path)
    assert (again.balances.spent, again.orphans.calls) == (NOTHING, 0)
    again.close()


def test_a_recalled_call_is_released_by_a_kill_once_that_is_on_record(ledger, tmp_path):
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    ledger.recall(hold)
    ledger.flush()
    again = restarted(ledger, tmp_path)
    assert again.balances.spent == NOTHING
    again.close()


def test_what_was_settled_is_there_after_an_orderly_end(ledger, tmp_path):
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    ledger.settle(hold, Amounts(10, 5, 1))
    ledger.close()
    again = Ledger(tmp_path)
    assert (again.balances.spent, again.orphans.calls) == (Amounts(10, 5, 1), 0)
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
    raw[1024:2048] = b"\xff" * 1024
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


def test_a_ledger_whose_file_is_gone_but_whose_mark_is_there_is_refused(ledger, tmp_path):
    ledger.close()
    (tmp_path / FILE).unlink()
    with pytest.raises(LedgerCorrupt, match="the file is not"):
        Ledger(tmp_path)


def test_a_ledger_whose_mark_is_gone_is_refused(ledger, tmp_path):
    ledger.close()
    (tmp_path / ledger_watermark.FILE).unlink()
    with pytest.raises(LedgerCorrupt, match="mark beside it is missing"):
        Ledger(tmp_path)


@pytest.mark.parametrize("content", [b"", b"half"])
def test_a_damaged_mark_is_refused(ledger, tmp_path, content):
    ledger.close()
    (tmp_path / ledger_watermark.FILE).write_bytes(content)
    with pytest.raises(LedgerCorrupt):
        Ledger(tmp_path)


def test_a_ledger_that_was_put_back_from_an_older_copy_is_refused(ledger, tmp_path):
    ledger.close()
    older = (tmp_path / FILE).read_bytes()
    Ledger(tmp_path).close()
    (tmp_path / FILE).write_bytes(older)
    with pytest.raises(LedgerCorrupt, match="records are missing"):
        Ledger(tmp_path)


def test_what_a_power_cut_took_of_the_log_keeps_no_run_from_going_on(ledger, tmp_path, caplog):
    ledger.dispatch(ledger.reserve(CALL))
    ledger.close()
    another_boot = tmp_path / "boot"
    another_boot.write_text("another")
    ledger_watermark.Watermark(tmp_path, another_boot).reach(1000)
    again = Ledger(tmp_path)
    assert (again.balances.spent, "power cut" in caplog.text) == (CALL, True)
    again.close()


def test_a_mark_that_cannot_be_written_is_told_and_written_later(ledger, tmp_path):
    ledger.dispatch(ledger.reserve(CALL))
    (tmp_path / ledger_watermark.FILE).rename(tmp_path / "aside")
    (tmp_path / ledger_watermark.FILE).mkdir()
    assert not ledger.flush()
    (tmp_path / ledger_watermark.FILE).rmdir()
    assert ledger.flush()
    again = restarted(ledger, tmp_path)
    assert again.balances.spent == CALL
    again.close()


@pytest.mark.parametrize(
    ("table", "number"), [("run", "input"), ("count", "drawn"), ("hold", "cost"), ("tool", "calls")]
)
def test_a_number_that_is_not_as_it_was_written_is_noticed(ledger, tmp_path, table, number):
    ledger.draw("a.b", 7, 500)
    ledger.tool_calls.add("crm", 2)
    ledger.dispatch(ledger.reserve(CALL))
    ledger._db.execute(f"UPDATE {table} SET {number} = {number} + 1")
    with pytest.raises(LedgerCorrupt, match=r"not as it was written.*delete the pod"):
        restarted(ledger, tmp_path)


def test_a_table_that_is_not_as_it_was_made_is_noticed(ledger, tmp_path):
    ledger._db.execute("ALTER TABLE hold RENAME COLUMN input TO inpus")
    with pytest.raises(LedgerCorrupt, match="not those that were made"):
        restarted(ledger, tmp_path)


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
    assert hold.state is HoldState.RESERVED
    assert not ledger.flush()
    ledger._db.execute("PRAGMA query_only = 0")
    ledger.dispatch(hold)
    assert not ledger.behind


@pytest.mark.parametrize("waiting", [0, 2])
def test_a_call_that_is_larger_than_a_ledger_can_tell_is_refused_and_others_are_not(ledger, waiting):
    for hold in [ledger.reserve(CALL) for _ in range(waiting)]:
        ledger.dispatch(hold)
        ledger.settle(hold, CALL)
    huge = ledger.reserve(Amounts(output=2**63))
    with pytest.raises(LedgerUnavailable):
        ledger.dispatch(huge)
    ledger.release(huge)
    ledger.dispatch(ledger.reserve(CALL))
    assert ledger.flush()


def test_orphans_that_are_more_than_a_ledger_can_tell_are_no_reason_to_begin_anew(ledger, tmp_path):
    for _ in range(2):
        ledger.dispatch(ledger.reserve(Amounts(output=2**62 + 1)))
    with pytest.raises(LedgerCorrupt, match="delete the pod"):
        restarted(ledger, tmp_path)


def at(tmp_path, time):
    return Ledger(tmp_path, time.clock)


def test_a_window_that_starts_anew_has_nothing_spent_and_the_run_goes_on(tmp_path):
    time = FakeTime()
    ledger = at(tmp_path, time)
    ledger.settle(ledger.reserve(CALL), CALL)
    time.pass_by(60)
    ledger.advance()
    spent = [ledger.balances.spent_in(window) for window in (Window.MINUTE, Window.HOUR, Window.RUN, Window.FOREVER)]
    assert spent == [NOTHING, CALL, CALL, CALL]
    ledger.close()


def test_a_call_that_ends_in_the_next_window_is_charged_to_the_one_it_began_in(tmp_path):
    time = FakeTime()
    ledger = at(tmp_path, time)
    early = ledger.reserve(CALL)
    ledger.dispatch(early)
    time.pass_by(60)
    ledger.advance()
    late = ledger.reserve(CALL)
    assert ledger.balances.held_in(Window.MINUTE) == CALL
    ledger.settle(early, Amounts(7, 7, 1))
    ledger.settle(late, Amounts(3, 3, 1))
    assert (ledger.balances.spent_in(Window.MINUTE), ledger.balances.spent_in(Window.HOUR)) == (
        Amounts(3, 3, 1),
        Amounts(10, 10, 2),
    )
    assert ledger.balances.held_in(Window.MINUTE) == NOTHING
    ledger.close()


def test_an_orphan_is_charged_to_the_window_it_began_in(tmp_path):
    time = FakeTime()
    ledger = at(tmp_path, time)
    ledger.dispatch(ledger.reserve(CALL))
    time.pass_by(60)
    ledger.advance()
    ledger.dispatch(ledger.reserve(Amounts(1, 1, 1)))
    again = restarted(ledger, tmp_path, time)
    assert (again.balances.spent_in(Window.MINUTE), again.balances.spent) == (Amounts(1, 1, 1), Amounts(101, 51, 2))
    again.close()


def test_a_clock_that_is_set_back_gives_no_budget_twice_not_even_after_a_restart(tmp_path):
    time = FakeTime()
    ledger = at(tmp_path, time)
    time.pass_by(3600)
    ledger.advance()
    ledger.settle(ledger.reserve(CALL), CALL)
    time.wall -= 7200
    ledger.advance()
    assert ledger.balances.spent_in(Window.HOUR) == CALL
    ledger.close()
    again = at(tmp_path, time)
    assert again.balances.spent_in(Window.HOUR) == CALL
    again.close()


def test_the_time_of_a_run_goes_on_over_restarts_and_a_clock_that_is_set_back(tmp_path):
    time = FakeTime()
    ledger = at(tmp_path, time)
    time.pass_by(10)
    assert ledger.elapsed_ms == 10_000
    ledger.flush()
    time.wall += 5
    again = restarted(ledger, tmp_path, time)
    assert again.elapsed_ms == 15_000
    again.close()
    time.wall -= 3600
    last = at(tmp_path, time)
    assert last.elapsed_ms == 15_000
    time.pass_by(1)
    assert last.elapsed_ms == 16_000
    last.close()


def test_an_agent_that_was_stopped_stays_stopped(ledger, tmp_path):
    ledger.stop(Stopped("hash", "the rule says so"))
    again = restarted(ledger, tmp_path)
    assert again.stopped == Stopped("hash", "the rule says so")
    again.close()


def test_the_name_and_the_busy_time_of_a_ledger_stay(ledger, tmp_path):
    ledger.busy_ms = 1234
    ledger.close()
    again = Ledger(tmp_path)
    assert (again.holder, again.busy_ms) == (ledger.holder, 1234)
    again.close()


def test_windows_that_are_over_leave_no_rows_behind(tmp_path):
    time = FakeTime()
    ledger = at(tmp_path, time)
    for _ in range(200):
        time.pass_by(3600)
        ledger.advance()
        ledger.dispatch(ledger.reserve(CALL))
    assert ledger._db.execute("SELECT count(*) FROM count").fetchone()[0] == len(windows.CLOCK_WINDOWS)
    ledger.close()


def test_what_was_drawn_of_a_shared_limit_is_remembered_in_its_window_only(ledger, tmp_path):
    ledger.draw("a.b", 7, 500)
    hold = ledger.reserve(CALL)
    ledger.dispatch(hold)
    again = restarted(ledger, tmp_path)
    assert (again.drawn("a.b", 7), again.balances.spent_in("a.b")) == (500, CALL)
    assert (again.drawn("a.b", 8), again.balances.spent_in("a.b")) == (0, NOTHING)
    assert again.drawn("a.b", 7) == 0
    again.close()


def test_a_draw_that_cannot_be_recorded_has_not_happened(ledger):
    ledger.draw("a.b", 1, 100)
    ledger._db.execute("PRAGMA query_only = 1")
    with pytest.raises(LedgerUnavailable):
        ledger.draw("a.b", 1, 200)
    assert ledger.drawn("a.b", 1) == 100
    ledger._db.execute("PRAGMA query_only = 0")


def test_a_call_of_a_tool_is_counted_on_record_once_it_is_dispatched(ledger, tmp_path):
    ledger.tool_calls.add("crm", 2)
    ledger.dispatch(ledger.reserve(CALL))
    ledger.tool_calls.add("shop", 1)
    again = restarted(ledger, tmp_path)
    assert (again.tool_calls.of("crm"), again.tool_calls.of("shop"), again.orphans.calls) == (2, 0, 1)
    again.close()


def test_a_call_of_a_tool_that_was_never_sent_is_taken_back_with_the_next_flush(ledger, tmp_path):
    ledger.tool_calls.add("crm", 2)
    ledger.flush()
    ledger.tool_calls.add("crm", -1)
    assert ledger.behind
    ledger.flush()
    again = restarted(ledger, tmp_path)
    assert again.tool_calls.of("crm") == 1
    again.close()


def test_a_call_of_a_tool_that_cannot_be_recorded_is_not_dispatched_and_can_be_taken_back(ledger):
    ledger.tool_calls.add("crm", 1)
    ledger._db.execute("PRAGMA query_only = 1")
    with pytest.raises(LedgerUnavailable):
        ledger.dispatch(ledger.reserve(CALL))
    ledger._db.execute("PRAGMA query_only = 0")
    ledger.tool_calls.add("crm", -1)
    assert (ledger.flush(), ledger.tool_calls.of("crm")) == (True, 0)


def test_who_keeps_a_response_is_on_record_with_the_next_flush(ledger, tmp_path):
    ledger.responses.keep("resp_1", "one")
    ledger.responses.keep("resp_2", "two")
    ledger.responses.keep("resp_1", "three")
    ledger.flush()
    ledger.responses.forget("resp_2")
    ledger.flush()
    ledger.responses.keep("resp_4", "late")
    again = restarted(ledger, tmp_path)
    assert [again.responses.backend(f"resp_{number}") for number in (1, 2, 4)] == ["three", None, None]
    again.close()


def test_no_call_waits_until_it_is_on_record_who_keeps_a_response(ledger):
    ledger.responses.keep("resp_1", "one")
    ledger.dispatch(ledger.reserve(CALL))
    ledger.advance()
    assert ledger.responses.behind
    ledger.flush()
    assert not ledger.behind


def test_names_of_responses_do_not_grow_with_the_age_of_a_run(tmp_path):
    first = Ledger(tmp_path)
    for number in range(MOST + 100):
        first.responses.keep(f"resp_{number}", "one")
        first.responses.keep("resp_again", "one")
    first.flush()
    again = restarted(first, tmp_path)
    assert again._db.execute("SELECT count(*) FROM response").fetchone()[0] == MOST
    again.responses.keep("resp_new", "one")
    again.flush()
    last = restarted(again, tmp_path)
    known = [last.responses.backend(name) for name in ("resp_100", "resp_101", "resp_102", "resp_again", "resp_new")]
    assert known == [None, None, "one", "one", "one"]
    last.close()


@pytest.mark.parametrize("change", ["backend = 'two'", "name = 'resp_3'", "number = 77", "number = 'x'", "seal = 1"])
def test_a_response_whose_row_is_damaged_is_nobodys_and_the_run_goes_on(ledger, tmp_path, change, caplog):
    ledger.responses.keep("resp_1", "one")
    ledger.responses.keep("resp_2", "one")
    ledger.flush()
    ledger._db.execute(f"UPDATE response SET {change} WHERE name = 'resp_1'")
    again = restarted(ledger, tmp_path)
    assert [again.responses.backend(f"resp_{number}") for number in (1, 2, 3)] == [None, "one", None]
    assert "forgotten" in caplog.text
    again.responses.keep("resp_1", "two")
    again.flush()
    last = restarted(again, tmp_path)
    assert [last.responses.backend(f"resp_{number}") for number in (1, 2)] == ["two", "one"]
    last.close()


def test_a_dispatch_records_what_was_settled_before_it(ledger, tmp_path):
    first = ledger.reserve(CALL)
    ledger.dispatch(first)
    ledger.settle(first, Amounts(10, 5, 1))
    ledger.dispatch(ledger.reserve(CALL))
    again = restarted(ledger, tmp_path)
    assert (again.balances.spent, again.orphans.calls) == (Amounts(110, 55, 2), 1)
    again.close()


@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_ledger_of_another_version_is_left_as_it_is_and_the_fix_is_told(tmp_path, version):
    Ledger(tmp_path).close()
    db = sqlite3.connect(tmp_path / FILE)
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StartError, match=f"has version {version} .* run the sidecar that wrote it, or delete"):
        Ledger(tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
