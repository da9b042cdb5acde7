"""The ledger: one SQLite file that outlives the process; the only module that writes.

What must survive a kill is on record before it can matter: a hold is written before the first byte of its call goes
out. Settlements ride along with the next dispatch, or follow within `FLUSH_SECONDS`; one that is lost is charged in
full at the next start, so the record errs on the side of having spent more, and within the limits. Reservations are
never written: at a restart they are gone, which is their release. Settled holds leave only their sum, and windows that
are over leave nothing: the file does not grow with the number of calls or the age of the run.

Almost every dispatch is one statement: it takes over the row of the call that was settled before it, and says there
what the run has come to. None of those sums ever shrinks, so at a start the largest on record is the last one.
"""

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_sidecar.budget import ledger_file
from agenttype_sidecar.budget.book import Book, Count, Hold, State
from agenttype_sidecar.budget.reservation import NOTHING, Amounts
from agenttype_sidecar.errors import LedgerUnavailable, StartError

FLUSH_SECONDS: Final = 0.05
FILE: Final = ledger_file.FILE

#: How often the run's times are written while nothing else is: what a kill and a clock set back can take at most.
_TIMES_SECONDS: Final = 5.0
#: Holds of one life of the process; the lives before have smaller numbers.
_LIFE_BITS: Final = 40
_SET_RUN: Final = (
    "UPDATE run SET input = ?, output = ?, requests = ?, cost = ?, tool_calls = ?, tool_ms = ?, "
    "minute = ?, elapsed_ms = ?, busy_ms = ?"
)
_HOLD: Final = "number, attempt, input, output, requests, cost, tool_calls, tool_ms"
_SEND: Final = f"INSERT INTO hold ({_HOLD}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 — column names of ours
_RUN_THEN: Final = (
    "run_input, run_output, run_requests, run_cost, run_tool_calls, run_tool_ms, "
    "run_minute, run_elapsed_ms, run_busy_ms"
)
#: One hold in place of another, with the run's sums beside it: one statement, and one page of the file.
_TAKE_OVER: Final = (
    f"UPDATE hold SET ({_HOLD}, {_RUN_THEN}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 — as above
    "WHERE number = ? AND attempt = ?"
)
_SET_COUNT: Final = "INSERT OR REPLACE INTO count VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_log = logging.getLogger("agenttype.ledger")


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
        self.stopped: Stopped | None = None
        path = folder / FILE
        try:
            self._db = ledger_file.opened(path)
            self._replay()
        except sqlite3.OperationalError as error:
            raise StartError(f"the ledger {path} cannot be opened: {error}") from error
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # a torn schema names its tables in no UTF-8
            raise ledger_file.corrupt(path, str(error)) from error
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
        try:
            self._db.execute("UPDATE run SET stopped_policy = ?, stopped_reason = ?", stopped)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    # writing

    @property
    def behind(self) -> bool:
        """Whether something waits to be recorded."""
        return bool(self._closed or self._changed)

    def flush(self) -> bool:
        """Record what waits; return False where that failed and it still waits."""
        if self.behind or self._clock.monotonic() - self._wrote > _TIMES_SECONDS:
            try:
                self._record(None)
            except LedgerUnavailable:
                return False
        return True

    def close(self) -> None:
        """Record everything and close the file."""
        with contextlib.suppress(LedgerUnavailable):
            self._record(None)
        self._db.close()

    def _record(self, hold: Hold | None) -> None:
        try:
            self._write(hold)
        except sqlite3.Error as error:
            raise _unavailable(error) from error

    def _write(self, hold: Hold | None) -> None:
        """Record the waiting settlements and counts, and perhaps a dispatch: all of it or nothing."""
        execute = self._db.execute
        if hold is not None and not self._changed and len(self._closed) <= 1:
            self._write_one(hold)
            return
        execute("BEGIN IMMEDIATE")
        try:
            if self._closed:
                self._db.executemany("DELETE FROM hold WHERE number = ? AND attempt = ?", self._closed)
            if self._changed:
                self._write_counts()
            if self.behind or hold is None:
                execute(_SET_RUN, self._run())
            if hold is not None:
                execute(_SEND, (hold.number, hold.attempt, *hold.amounts))
            execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself where the disk is full
                execute("ROLLBACK")
            raise
        self._closed.clear()
        self._changed.clear()
        self._wrote = self._clock.monotonic()

    def _write_one(self, hold: Hold) -> None:
        """Record a dispatch, and the one settlement that waits, if any, in a single statement."""
        row = (hold.number, hold.attempt, *hold.amounts)
        if self._closed:
            if self._db.execute(_TAKE_OVER, (*row, *self._run(), *self._closed[0])).rowcount != 1:
                raise sqlite3.IntegrityError("the record of a call that was under way is gone")
            self._closed.clear()
            self._wrote = self._clock.monotonic()
        else:
            self._db.execute(_SEND, row)

    def _run(self) -> tuple[int, ...]:
        """Return what is recorded of the run; no part of it ever shrinks."""
        return (*self.book.spent, self.book.minute, self.elapsed_ms, self.busy_ms)

    def _write_counts(self) -> None:
        for key in sorted(self._changed):
            count = self.book.counts.get(key)
            if count is None:
                self._db.execute("DELETE FROM count WHERE key = ?", (key,))
            else:
                row = (key, count.index, count.since, *count.spent, self._drawn.get(key, 0))
                self._db.execute(_SET_COUNT, row)

    def _replay(self) -> None:
        """Read everything, charge what is open, and note that another life begins."""
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        run, holds = execute("SELECT * FROM run").fetchone(), execute("SELECT * FROM hold").fetchall()
        *spent, minute, elapsed_ms, busy_ms = max([_run_of(run), *(_run_of(row, "run_") for row in holds)])
        now_ms = int(self._clock.now() * 1000)
        starts, began = run["starts"] + 1, run["began_ms"] or now_ms
        self.holder, self.busy_ms = str(run["holder"]), busy_ms
        self._elapsed = max(elapsed_ms, now_ms - began)
        if run["stopped_policy"]:
            self.stopped = Stopped(run["stopped_policy"], run["stopped_reason"])
        book = self.book = Book(Amounts(*spent), starts << _LIFE_BITS, minute)
        for row in execute("SELECT * FROM count"):
            book.restored(row["key"], Count(row["place"], row["since"], _sums(row)))
            self._drawn[row["key"]] = row["drawn"]
        before = book.spent
        for row in holds:
            book.orphaned(row["number"], _sums(row))
        self.orphans = Orphans(len(holds), book.spent.minus(before))
        self._changed.update(book.counts)
        self.turn()
        execute("DELETE FROM hold")
        self._write_counts()
        execute("UPDATE run SET starts = ?, began_ms = ?", (starts, began))
        execute(_SET_RUN, self._run())
        execute("COMMIT")
        self._changed.clear()


def _run_of(row: sqlite3.Row, prefix: str = "") -> tuple[int, ...]:
    return tuple(row[prefix + name] for name in (*Amounts._fields, "minute", "elapsed_ms", "busy_ms"))


def _sums(row: sqlite3.Row) -> Amounts:
    return Amounts(*(row[name] for name in Amounts._fields))


def _unavailable(error: sqlite3.Error) -> LedgerUnavailable:
    _log.error("ledger write failed", extra={"fields": {"error": str(error)}})
    return LedgerUnavailable("the budget's ledger cannot be written, so nothing may be spent")
