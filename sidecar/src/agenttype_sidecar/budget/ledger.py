"""The ledger: one SQLite file that outlives the process; the only module that writes it.

What must survive a kill is recorded before it matters: a hold is written before the first byte of its call goes out.
Settlements are written with the next dispatch, or within `FLUSH_SECONDS`. A lost settlement is charged in full at the
next start, so the ledger may count too much but never too little, and stays within the limits. Reservations are never
written: a restart releases them. Settled holds leave only their sum, and past windows leave nothing, so the file does
not grow with the number of calls or the age of the run.

Almost every dispatch is one statement: it reuses the row of the call that was settled before it, and writes the run's
totals there. Records are numbered, so the last one is known at a start. A watermark file says how many records there
were, so a ledger that has lost its end is never taken for a complete one.
"""

import contextlib
import sqlite3
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_runtime.json_log import Log

from agenttype_sidecar.budget import ledger_file, ledger_schema
from agenttype_sidecar.budget.amounts import NOTHING, Amounts
from agenttype_sidecar.budget.balances import Balances, Hold, HoldState, LaterCount
from agenttype_sidecar.budget.ledger_watermark import Watermark
from agenttype_sidecar.budget.response_owners import ResponseOwner, ResponseOwners
from agenttype_sidecar.budget.tool_counts import ToolCounts
from agenttype_sidecar.errors import LedgerCorrupt, LedgerUnavailable, StartError

FLUSH_SECONDS: Final = 0.05
FILE: Final = ledger_file.FILE

#: How often the run's times are written while nothing else is: the most that a kill or a clock set back can lose.
_TIMES_SECONDS: Final = 5.0
#: Bits for the holds of one process; holds of former processes have smaller numbers.
_LIFE_BITS: Final = 40
#: Columns of a hold before those of the run.
_HELD: Final = 2 + len(Amounts._fields)
_log = Log("ledger")


class Orphans(NamedTuple):
    """Calls that a former process had sent and never settled; they are charged in full."""

    calls: int
    amounts: Amounts


class Stopped(NamedTuple):
    """That the agent was stopped for good, under the policy with this hash."""

    policy: str
    reason: str


class Clock(NamedTuple):
    """The source of time: Unix seconds, and monotonic seconds."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class Ledger:
    """Counts and records; not thread-safe, used from one event loop.

    Attributes:
        balances: What is spent and held.
        orphans: What the start charged.
        holder: Names this ledger where limits are shared; it never changes.
        stopped: Set once the agent must stop for good.
        tool_calls: How often limited tool servers were called; recorded with the next dispatch.
        responses: Which backend keeps which response; recorded with the next flush.
        busy_ms: Milliseconds in which calls were running, as last written; set from outside.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        """Open or create the ledger of `folder` and charge what a former process left open.

        Raises:
            LedgerCorrupt: The file is damaged, or is not a ledger.
            StartError: The folder cannot be written, or another process has the ledger.
        """
        self._clock = clock or Clock()
        self._closed: list[tuple[int, int]] = []
        self._changed: set[str] = set()
        self._drawn: dict[str, int] = {}
        self._opened = self._wrote = self._clock.monotonic()
        self._records = self._watermark_records = self._elapsed = 0
        self.stopped: Stopped | None = None
        self.tool_calls = ToolCounts()
        self.responses = ResponseOwners()
        path = folder / FILE
        try:
            self._watermark = Watermark(folder)
            self._db = ledger_file.opened(path, self._watermark)
            try:
                self._replay(path)
                self._write_watermark()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.OperationalError as error:
            raise StartError(f"the ledger {path} cannot be opened: {error}") from error
        except (sqlite3.DatabaseError, struct.error, UnicodeDecodeError) as error:  # a torn schema may be no UTF-8
            raise LedgerCorrupt(path, str(error)) from error
        except OSError as error:
            raise StartError(f"the ledger folder {folder} cannot be used: {error.strerror}") from error

    # calls

    def advance(self) -> None:
        """Begin the windows that are due since the last call."""
        if begun := self.balances.advance(self._clock.now()):
            self._changed.update(begun)

    def reserve(self, amounts: Amounts) -> Hold:
        """Hold `amounts` for a new call."""
        return self.balances.reserve(amounts)

    def dispatch(self, hold: Hold) -> None:
        """Record that the call is about to go out; when this returns, the record survives the process.

        Raises:
            LedgerUnavailable: It cannot be recorded; the hold is still reserved.
        """
        self._record(hold)
        self.balances.dispatched(hold)

    def recall(self, hold: Hold) -> None:
        """Undo a dispatch, because nothing of the call went out; the hold stays reserved."""
        self._closed.append((hold.number, hold.attempt))
        self.balances.recalled(hold)

    def settle(self, hold: Hold, cost: Amounts) -> bool:
        """Spend `cost`, give back the rest; return False if the hold was settled or released before."""
        was_dispatched = hold.state is HoldState.DISPATCHED
        later_counts = self.balances.close(hold, cost)
        if later_counts is None:
            return False
        self._changed.update(later_counts)
        if was_dispatched:
            self._closed.append((hold.number, hold.attempt))
        return True

    def release(self, hold: Hold) -> bool:
        """Give all of a hold back."""
        return self.settle(hold, NOTHING)

    # limits that pods share

    def account(self, key: str, index: int) -> LaterCount:
        """Return the count of a shared limit in the window of this index; it begins at the first call."""
        count = self.balances.counts.get(key)
        if count is None or count.index < index:
            self.balances.begin(key, index)
            self._drawn[key] = 0
            self._changed.add(key)
            count = self.balances.counts[key]
        return count

    def drawn(self, key: str, index: int) -> int:
        """Return what this pod may use of a shared limit in the window of this index."""
        return self._drawn.get(key, 0) if self.account(key, index).index == index else 0

    def draw(self, key: str, index: int, drawn: int) -> None:
        """Record what this pod may use of a shared limit; when this returns, the record survives the process.

        Raises:
            LedgerUnavailable: It cannot be recorded; what may be used has not grown.
        """
        if self.account(key, index).index != index:
            return  # of a past window
        before = self._drawn[key]
        self._drawn[key] = drawn
        self._changed.add(key)
        try:
            self._record(None)
        except LedgerUnavailable:
            self._drawn[key] = min(before, drawn)
            raise

    def all_drawn(self) -> dict[tuple[str, int], int]:
        """Return what was drawn of all shared limits, by key and index."""
        counts = self.balances.counts
        return {(key, counts[key].index): drawn for key, drawn in self._drawn.items() if drawn and key in counts}

    # the run

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the run began, over all its processes; never decreases, even if the clock is set back."""
        return self._elapsed + int((self._clock.monotonic() - self._opened) * 1000)

    def now(self) -> float:
        """Return Unix seconds."""
        return self._clock.now()

    def stop(self, stopped: Stopped) -> None:
        """Record that the agent must stop for good.

        Raises:
            LedgerUnavailable: It is not recorded; only this process knows it.
        """
        self.stopped = stopped
        self._record(None)

    # writing

    @property
    def behind(self) -> bool:
        """Whether something waits to be recorded."""
        return bool(self._closed or self._changed or self.tool_calls.changed or self.responses.behind)

    def flush(self) -> bool:
        """Record what waits, and move the watermark; return False if that failed and it still waits."""
        try:
            if self.behind or self._clock.monotonic() - self._wrote > _TIMES_SECONDS:
                self._record(None)
            self._write_watermark()
        except LedgerUnavailable:
            return False
        return True

    def close(self) -> None:
        """Record everything and close the file."""
        with contextlib.suppress(LedgerUnavailable):
            self._record(None)
            self._write_watermark()
        self._db.close()

    def _write_watermark(self) -> None:
        """Write the watermark, if there are new records; every record includes the run's times."""
        if self._watermark_records == self._records:
            return
        self._wrote = self._clock.monotonic()
        try:
            self._watermark.reach(self._records)
        except OSError as error:
            raise _unavailable(error) from error
        self._watermark_records = self._records

    def _record(self, hold: Hold | None) -> None:
        try:
            self._write(hold)
        except (sqlite3.Error, struct.error) as error:  # struct.error: a number too large for a column
            raise _unavailable(error) from error

    def _write(self, hold: Hold | None) -> None:
        """Record the waiting settlements and counts, and a dispatch if there is one: all or nothing."""
        if hold is not None and not self._changed and not self.tool_calls.changed and len(self._closed) <= 1:
            self._write_one(hold)
        else:
            self._write_all(hold)
        self._records += 1
        self._closed.clear()

    def _write_one(self, hold: Hold) -> None:
        """Record a dispatch, and the one waiting settlement, if any, in a single statement."""
        row = self._hold_row(hold)
        if not self._closed:
            self._db.execute(ledger_schema.HOLD.put, row)
        elif self._db.execute(ledger_schema.HOLD.change, (*row, *self._closed[0])).rowcount != 1:
            raise sqlite3.IntegrityError("the record of a running call is missing")

    def _write_all(self, hold: Hold | None) -> None:
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(ledger_schema.HOLD.drop, self._closed)
            self._write_counts()
            if hold is None:
                self._write_responses()
                execute(ledger_schema.RUN.put, self._run_row())
            else:
                execute(ledger_schema.HOLD.put, self._hold_row(hold))
            execute("COMMIT")
        except (sqlite3.Error, struct.error):
            with contextlib.suppress(sqlite3.Error):  # SQLite rolls back by itself if the disk is full
                execute("ROLLBACK")
            raise
        self._changed.clear()
        self.tool_calls.changed.clear()
        if hold is None:
            self.responses.recorded()

    def _hold_row(self, hold: Hold) -> ledger_schema.Row:
        return ledger_schema.HOLD.sealed((hold.number, hold.attempt, *hold.amounts, *self._run_state()))

    def _run_row(self) -> ledger_schema.Row:
        stopped = self.stopped or Stopped("", "")
        return ledger_schema.RUN.sealed((self.holder, *stopped, self._starts, self._began_ms, *self._run_state()))

    def _run_state(self) -> tuple[int, ...]:
        """Return the run's columns of the next record."""
        return (self._records + 1, *self.balances.spent, self.balances.minute, self.elapsed_ms, self.busy_ms)

    def _write_counts(self) -> None:
        for key in sorted(self._changed):
            count = self.balances.counts[key]
            row = (key, count.index, count.since, *count.spent, self._drawn.get(key, 0))
            self._db.execute(ledger_schema.COUNT.put, ledger_schema.COUNT.sealed(row))
        for server in sorted(self.tool_calls.changed):
            self._db.execute(ledger_schema.TOOL.put, ledger_schema.TOOL.sealed((server, self.tool_calls.of(server))))

    def _write_responses(self) -> None:
        responses, table = self.responses, ledger_schema.RESPONSE
        self._db.executemany(table.drop, [(number,) for number in responses.to_delete])
        self._db.executemany(table.put, [table.sealed(owner) for owner in responses.unrecorded.values()])

    def _replay(self, path: Path) -> None:
        """Read everything, charge what is open, and record that a new process begins."""
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        runs, holds = list(ledger_schema.RUN.rows(self._db)), list(ledger_schema.HOLD.rows(self._db))
        if len(runs) != 1:
            raise LedgerCorrupt(path, "it does not have one run")
        self.holder, policy, reason, starts, began_ms, *then = runs[0]
        # Records are numbered, so the largest is the last.
        self._records, *spent, minute, elapsed_ms, self.busy_ms = max([tuple(then), *(row[_HELD:] for row in holds)])
        self._check_end(path)
        now_ms = int(self._clock.now() * 1000)
        self._starts, self._began_ms = starts + 1, began_ms or now_ms
        self._elapsed = max(elapsed_ms, now_ms - self._began_ms)
        if policy:
            self.stopped = Stopped(policy, reason)
        balances = self.balances = Balances(Amounts(*spent), self._starts << _LIFE_BITS, minute)
        for key, place, since, *gone, drawn in ledger_schema.COUNT.rows(self._db):
            balances.restored(key, LaterCount(place, since, Amounts(*gone)))
            self._drawn[key] = drawn
        for server, calls in ledger_schema.TOOL.rows(self._db):
            self.tool_calls.restored(server, calls)
        self._restore_responses()
        before = balances.spent
        for number, _, *held in (row[:_HELD] for row in holds):
            balances.orphaned(number, Amounts(*held))
        self.orphans = Orphans(len(holds), balances.spent.minus(before))
        self._changed.update(balances.counts)
        self.advance()
        execute("DELETE FROM hold")
        self._write_counts()
        execute(ledger_schema.RUN.put, self._run_row())
        execute("COMMIT")
        self._records += 1
        self._changed.clear()

    def _restore_responses(self) -> None:
        """Take over which backend keeps what; a damaged row is dropped, because it is no reason to end a run."""
        rows = list(ledger_schema.RESPONSE.judged(self._db))
        self.responses.restored(ResponseOwner(*row) for row, is_whole in rows if is_whole)
        if damaged := [row for row, is_whole in rows if not is_whole]:
            _log.warning("stored responses forgotten", damaged=len(damaged))
            self._db.executemany(ledger_schema.RESPONSE.drop, [(number,) for _, _, number in damaged])

    def _check_end(self, path: Path) -> None:
        """Refuse a file that lacks records that no power cut can have removed."""
        reached = self._watermark.reached
        missing = 0 if reached is None else reached.records - self._records
        if missing > 0 and self._watermark.is_of_this_boot:
            raise LedgerCorrupt(path, f"its last {missing} records are missing")
        if missing > 0:
            _log.warning("ledger lost its end in a power cut", records=missing)


def _unavailable(error: Exception) -> LedgerUnavailable:
    _log.error("ledger write failed", error=str(error))
    return LedgerUnavailable("the budget's ledger cannot be written, so nothing may be spent")
