"""The ledger: one SQLite file that outlives the process; the only module that writes.

What must survive a kill is on record before it can matter: a hold is written before the first byte of its call goes
out. Settlements ride along with the next dispatch, or follow within `FLUSH_SECONDS`; one that is lost is charged in
full at the next start, so the record errs on the side of having spent more, and within the limits. Reservations are
never written: at a restart they are gone, which is their release. Settled holds leave only their sum, and windows that
are over leave nothing: the file does not grow with the number of calls or the age of the run.

Almost every dispatch is one statement: it takes over the row of the call that was settled before it, and says there
what the run has come to. Records are numbered, so at a start the last one is known; and a mark beside the file says how
many there were, so a file that has lost its end is never taken for a whole one.
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
from agenttype_sidecar.budget.balances import Balances, Count, Hold, State
from agenttype_sidecar.budget.ledger_watermark import Watermark
from agenttype_sidecar.budget.reservation import NOTHING, Amounts
from agenttype_sidecar.budget.response_owners import Kept, ResponseOwners
from agenttype_sidecar.budget.tool_counts import ToolCounts
from agenttype_sidecar.errors import LedgerCorrupt, LedgerUnavailable, StartError

FLUSH_SECONDS: Final = 0.05
FILE: Final = ledger_file.FILE

#: How often the run's times are written while nothing else is: what a kill and a clock set back can take at most.
_TIMES_SECONDS: Final = 5.0
#: Holds of one life of the process; the lives before have smaller numbers.
_LIFE_BITS: Final = 40
#: Columns of a hold before what it says of the run.
_HELD: Final = 2 + len(Amounts._fields)
_log = Log("ledger")


class Orphans(NamedTuple):
    """Calls that a former process had sent and never settled; now charged in full."""

    calls: int
    amounts: Amounts


class Stopped(NamedTuple):
    """The agent was stopped for good, under the policy of this hash."""

    policy: str
    reason: str


class Clock(NamedTuple):
    """Where the time comes from: Unix seconds, and seconds that never go back."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


class Ledger:
    """Counts and records; not thread-safe, used from one event loop.

    Attributes:
        book: What is spent and held.
        orphans: What the start charged.
        holder: Names this ledger wherever limits are shared; the same for ever.
        stopped: Set once the agent must stop for good.
        tool_calls: How often limited tool servers were called; what is counted is recorded with the next dispatch.
        responses: Which backend keeps which response; recorded with the next flush.
        busy_ms: Milliseconds in which calls were running, as last written; whoever measures them sets it.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        """Open or create the ledger of `folder` and charge what a former process left open.

        Raises:
            LedgerCorrupt: The file is damaged or not ours.
            StartError: The folder cannot be written, or another process has the ledger.
        """
        self._clock = clock or Clock()
        self._closed: list[tuple[int, int]] = []
        self._changed: set[str] = set()
        self._drawn: dict[str, int] = {}
        self._opened = self._wrote = self._clock.monotonic()
        self._records = self._noted = self._elapsed = 0
        self.stopped: Stopped | None = None
        self.tool_calls = ToolCounts()
        self.responses = ResponseOwners()
        path = folder / FILE
        try:
            self._mark = Watermark(folder)
            self._db = ledger_file.opened(path, self._mark)
            try:
                self._replay(path)
                self._note()
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

    def turn(self) -> None:
        """Let the windows begin that have come since the last look."""
        if begun := self.book.turn(self._clock.now()):
            self._changed.update(begun)

    def reserve(self, amounts: Amounts) -> Hold:
        """Keep `amounts` aside for a new call."""
        return self.book.reserve(amounts)

    def dispatch(self, hold: Hold) -> None:
        """Record that the call is about to go out; when this returns, the record survives the death of the process.

        Raises:
            LedgerUnavailable: It cannot be recorded; the hold is still reserved.
        """
        self._record(hold)
        self.book.dispatched(hold)

    def recall(self, hold: Hold) -> None:
        """Take a dispatch back, because nothing of the call went out; the hold stays reserved."""
        self._closed.append((hold.number, hold.attempt))
        self.book.recalled(hold)

    def settle(self, hold: Hold, cost: Amounts) -> bool:
        """Spend `cost`, give back the rest; return False where the hold was settled or released before."""
        was_dispatched = hold.state is State.DISPATCHED
        strangers = self.book.close(hold, cost)
        if strangers is None:
            return False
        self._changed.update(strangers)
        if was_dispatched:
            self._closed.append((hold.number, hold.attempt))
        return True

    def release(self, hold: Hold) -> bool:
        """Give all of a hold back."""
        return self.settle(hold, NOTHING)

    # shares of limits that several pods have together

    def account(self, key: str, index: int) -> Count:
        """Return the count of a shared limit in the window of this index, which begins when it is first asked for."""
        count = self.book.counts.get(key)
        if count is None or count.index < index:
            self.book.begin(key, index)
            self._drawn[key] = 0
            self._changed.add(key)
            count = self.book.counts[key]
        return count

    def drawn(self, key: str, index: int) -> int:
        """Return what this pod may use of a shared limit in the window of this index."""
        return self._drawn.get(key, 0) if self.account(key, index).index == index else 0

    def draw(self, key: str, index: int, drawn: int) -> None:
        """Record what this pod may use of a shared limit; when this returns, no death of the process forgets it.

        Raises:
            LedgerUnavailable: It cannot be recorded; what may be used has not grown.
        """
        if self.account(key, index).index != index:
            return  # of a window that is over
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
        counts = self.book.counts
        return {(key, counts[key].index): drawn for key, drawn in self._drawn.items() if drawn and key in counts}

    # the run

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the run began, in whichever process; no clock that is set back takes any of it away."""
        return self._elapsed + int((self._clock.monotonic() - self._opened) * 1000)

    def now(self) -> float:
        """Return Unix seconds."""
        return self._clock.now()

    def stop(self, stopped: Stopped) -> None:
        """Record that the agent must stop for good.

        Raises:
            LedgerUnavailable: Only this process knows it.
        """
        self.stopped = stopped
        self._record(None)

    # writing

    @property
    def behind(self) -> bool:
        """Whether something waits to be recorded."""
        return bool(self._closed or self._changed or self.tool_calls.changed or self.responses.behind)

    def flush(self) -> bool:
        """Record what waits, and mark how far the record has come; return False where that failed: it still waits."""
        try:
            if self.behind or self._clock.monotonic() - self._wrote > _TIMES_SECONDS:
                self._record(None)
            self._note()
        except LedgerUnavailable:
            return False
        return True

    def close(self) -> None:
        """Record everything and close the file."""
        with contextlib.suppress(LedgerUnavailable):
            self._record(None)
            self._note()
        self._db.close()

    def _note(self) -> None:
        """Mark how far the record has come, where it has; whatever was recorded has the run's times."""
        if self._noted == self._records:
            return
        self._wrote = self._clock.monotonic()
        try:
            self._mark.reach(self._records)
        except OSError as error:
            raise _unavailable(error) from error
        self._noted = self._records

    def _record(self, hold: Hold | None) -> None:
        try:
            self._write(hold)
        except (sqlite3.Error, struct.error) as error:  # the latter: a number that no ledger has room for
            raise _unavailable(error) from error

    def _write(self, hold: Hold | None) -> None:
        """Record the waiting settlements and counts, and perhaps a dispatch: all of it or nothing."""
        if hold is not None and not self._changed and not self.tool_calls.changed and len(self._closed) <= 1:
            self._write_one(hold)
        else:
            self._write_all(hold)
        self._records += 1
        self._closed.clear()

    def _write_one(self, hold: Hold) -> None:
        """Record a dispatch, and the one settlement that waits, if any, in a single statement."""
        row = self._sent(hold)
        if not self._closed:
            self._db.execute(ledger_schema.HOLD.put, row)
        elif self._db.execute(ledger_schema.HOLD.change, (*row, *self._closed[0])).rowcount != 1:
            raise sqlite3.IntegrityError("the record of a call that was under way is gone")

    def _write_all(self, hold: Hold | None) -> None:
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(ledger_schema.HOLD.drop, self._closed)
            self._write_counts()
            if hold is None:
                self._write_responses()
                execute(ledger_schema.RUN.put, self._run())
            else:
                execute(ledger_schema.HOLD.put, self._sent(hold))
            execute("COMMIT")
        except (sqlite3.Error, struct.error):
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself where the disk is full
                execute("ROLLBACK")
            raise
        self._changed.clear()
        self.tool_calls.changed.clear()
        if hold is None:
            self.responses.recorded()

    def _sent(self, hold: Hold) -> ledger_schema.Row:
        return ledger_schema.HOLD.sealed((hold.number, hold.attempt, *hold.amounts, *self._then()))

    def _run(self) -> ledger_schema.Row:
        stopped = self.stopped or Stopped("", "")
        return ledger_schema.RUN.sealed((self.holder, *stopped, self._starts, self._began_ms, *self._then()))

    def _then(self) -> tuple[int, ...]:
        """Return what the next record says of the run."""
        return (self._records + 1, *self.book.spent, self.book.minute, self.elapsed_ms, self.busy_ms)

    def _write_counts(self) -> None:
        for key in sorted(self._changed):
            count = self.book.counts[key]
            row = (key, count.index, count.since, *count.spent, self._drawn.get(key, 0))
            self._db.execute(ledger_schema.COUNT.put, ledger_schema.COUNT.sealed(row))
        for server in sorted(self.tool_calls.changed):
            self._db.execute(ledger_schema.TOOL.put, ledger_schema.TOOL.sealed((server, self.tool_calls.of(server))))

    def _write_responses(self) -> None:
        responses, sheet = self.responses, ledger_schema.RESPONSE
        self._db.executemany(sheet.drop, [(number,) for number in responses.gone])
        self._db.executemany(sheet.put, [sheet.sealed(kept) for kept in responses.fresh.values()])

    def _replay(self, path: Path) -> None:
        """Read everything, charge what is open, and note that another life begins."""
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        runs, holds = list(ledger_schema.RUN.rows(self._db)), list(ledger_schema.HOLD.rows(self._db))
        if len(runs) != 1:
            raise LedgerCorrupt(path, "it does not have one run")
        self.holder, policy, reason, starts, began_ms, *then = runs[0]
        # Before records were numbered, none of these ever shrank: there too, the largest is the last.
        self._records, *spent, minute, elapsed_ms, self.busy_ms = max([tuple(then), *(row[_HELD:] for row in holds)])
        self._check_end(path)
        now_ms = int(self._clock.now() * 1000)
        self._starts, self._began_ms = starts + 1, began_ms or now_ms
        self._elapsed = max(elapsed_ms, now_ms - self._began_ms)
        if policy:
            self.stopped = Stopped(policy, reason)
        book = self.book = Balances(Amounts(*spent), self._starts << _LIFE_BITS, minute)
        for key, place, since, *gone, drawn in ledger_schema.COUNT.rows(self._db):
            book.restored(key, Count(place, since, Amounts(*gone)))
            self._drawn[key] = drawn
        for server, calls in ledger_schema.TOOL.rows(self._db):
            self.tool_calls.restored(server, calls)
        self._restore_responses()
        before = book.spent
        for number, _, *held in (row[:_HELD] for row in holds):
            book.orphaned(number, Amounts(*held))
        self.orphans = Orphans(len(holds), book.spent.minus(before))
        self._changed.update(book.counts)
        self.turn()
        execute("DELETE FROM hold")
        self._write_counts()
        execute(ledger_schema.RUN.put, self._run())
        execute("COMMIT")
        self._records += 1
        self._changed.clear()

    def _restore_responses(self) -> None:
        """Take over which backend keeps what; a damaged row is nobody's response, and no reason to end a run."""
        rows = list(ledger_schema.RESPONSE.judged(self._db))
        self.responses.restored(Kept(*row) for row, is_whole in rows if is_whole)
        if damaged := [row for row, is_whole in rows if not is_whole]:
            _log.warning("stored responses forgotten", damaged=len(damaged))
            self._db.executemany(ledger_schema.RESPONSE.drop, [(number,) for _, _, number in damaged])

    def _check_end(self, path: Path) -> None:
        """Refuse a file that lacks records which no power cut can have taken."""
        marked = self._mark.reached
        missing = 0 if marked is None else marked.records - self._records
        if missing > 0 and self._mark.is_of_this_boot:
            raise LedgerCorrupt(path, f"its last {missing} records are missing")
        if missing > 0:
            _log.warning("ledger lost its end in a power cut", records=missing)


def _unavailable(error: Exception) -> LedgerUnavailable:
    _log.error("ledger write failed", error=str(error))
    return LedgerUnavailable("the budget's ledger cannot be written, so nothing may be spent")
