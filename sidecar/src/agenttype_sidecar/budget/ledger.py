"""The ledger: one SQLite file that outlives the process; the only module that writes.

What must survive a kill is on record before it can matter: a hold is written before the first byte of its call goes
out. Settlements ride along with the next dispatch, or follow within `FLUSH_SECONDS`; one that is lost is charged in
full at the next start, so the record errs on the side of having spent more, and within the limits. Reservations are
never written: at a restart they are gone, which is their release. Settled holds leave only their sum: the file does
not grow with the number of calls.
"""

import contextlib
import logging
import os
import sqlite3
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_sidecar.budget.book import Book, Hold, State
from agenttype_sidecar.budget.reservation import NOTHING, Amounts
from agenttype_sidecar.errors import LedgerCorrupt, LedgerUnavailable, StartError

FLUSH_SECONDS: Final = 0.05
FILE: Final = "ledger.db"

_APPLICATION: Final = 0x41_54_4C_47  # "ATLG": tells our file from any other
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), starts INTEGER NOT NULL,
                  input INTEGER NOT NULL, output INTEGER NOT NULL, requests INTEGER NOT NULL);
CREATE TABLE hold (request TEXT NOT NULL, attempt INTEGER NOT NULL,
                   input INTEGER NOT NULL, output INTEGER NOT NULL, requests INTEGER NOT NULL,
                   PRIMARY KEY (request, attempt)) WITHOUT ROWID;
INSERT INTO run VALUES (1, 0, 0, 0, 0);
"""
_log = logging.getLogger("agenttype.ledger")


class Orphans(NamedTuple):
    """Calls that a former process had sent and never settled; now charged in full."""

    calls: int
    amounts: Amounts


class Ledger:
    """Counts and records; not thread-safe, used from one event loop."""

    def __init__(self, folder: Path) -> None:
        """Open or create the ledger of `folder` and charge what a former process left open.

        Raises:
            LedgerCorrupt: The file is damaged or not ours.
            StartError: The folder cannot be written, or another process has the ledger.
        """
        self._path = folder / FILE
        self._numbers = 0
        self._closed: list[tuple[str, int]] = []
        try:
            if not self._path.exists():
                _create(self._path)
            self._db = _opened(self._path)
            self._start, self.orphans, spent = self._replay()
        except sqlite3.OperationalError as error:
            raise StartError(f"the ledger {self._path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise _corrupt(self._path, str(error)) from error
        except OSError as error:
            raise StartError(f"the ledger folder {folder} cannot be used: {error.strerror}") from error
        self.book = Book(spent)

    def reserve(self, amounts: Amounts) -> Hold:
        """Keep `amounts` aside for a new call."""
        self._numbers += 1
        return self.book.reserve(f"{self._start}-{self._numbers}", amounts)

    def dispatch(self, hold: Hold) -> None:
        """Record that the call is about to go out; when this returns, the record survives the death of the process.

        Raises:
            LedgerUnavailable: It cannot be recorded; the hold is still reserved.
        """
        try:
            self._write(hold)
        except sqlite3.Error as error:
            _log.error("ledger write failed", extra={"fields": {"error": str(error)}})
            raise LedgerUnavailable("the budget's ledger cannot be written, so nothing may be spent") from error
        self.book.dispatched(hold)

    def recall(self, hold: Hold) -> None:
        """Take a dispatch back, because nothing of the call went out; the hold stays reserved."""
        self._closed.append((hold.request, hold.attempt))
        self.book.recalled(hold)

    def settle(self, hold: Hold, cost: Amounts) -> bool:
        """Spend `cost`, give back the rest; return False where the hold was settled or released before."""
        was_dispatched = hold.state is State.DISPATCHED
        if not self.book.close(hold, cost):
            return False
        if was_dispatched:
            self._closed.append((hold.request, hold.attempt))
        return True

    def release(self, hold: Hold) -> bool:
        """Give all of a hold back."""
        return self.settle(hold, NOTHING)

    @property
    def behind(self) -> bool:
        """Whether settlements wait to be recorded."""
        return bool(self._closed)

    def flush(self) -> bool:
        """Record the waiting settlements; return False where that failed and they still wait."""
        if self._closed:
            try:
                self._write(None)
            except sqlite3.Error as error:
                _log.error("ledger write failed", extra={"fields": {"error": str(error)}})
                return False
        return True

    def close(self) -> None:
        """Record what waits and close the file."""
        self.flush()
        self._db.close()

    def _write(self, hold: Hold | None) -> None:
        """Record, in one transaction, the waiting settlements and perhaps a dispatch."""
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            if self._closed:
                self._db.executemany("DELETE FROM hold WHERE request = ? AND attempt = ?", self._closed)
                execute("UPDATE run SET input = ?, output = ?, requests = ?", self.book.spent[:3])
            if hold is not None:
                execute("INSERT INTO hold VALUES (?, ?, ?, ?, ?)", (hold.request, hold.attempt, *hold.amounts[:3]))
            execute("COMMIT")
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself where the disk is full
                execute("ROLLBACK")
            raise
        self._closed.clear()

    def _replay(self) -> tuple[int, Orphans, Amounts]:
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        starts, *spent = execute("SELECT starts, input, output, requests FROM run").fetchone()
        calls, *open_amounts = execute(
            "SELECT count(*), coalesce(sum(input), 0), coalesce(sum(output), 0), coalesce(sum(requests), 0) FROM hold"
        ).fetchone()
        orphans = Orphans(calls, Amounts(*open_amounts))
        total = Amounts(*spent).plus(orphans.amounts)
        execute("DELETE FROM hold")
        execute("UPDATE run SET starts = ?, input = ?, output = ?, requests = ?", (starts + 1, *total[:3]))
        execute("COMMIT")
        return starts + 1, orphans, total


def _create(path: Path) -> None:
    """Make a new ledger aside and put it in place whole, so that an empty or half file always means damage."""
    if path.with_name(f"{path.name}-wal").exists():
        raise _corrupt(path, "its write-ahead log is there, the file is not")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    db = sqlite3.connect(aside, isolation_level=None)
    try:
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
        db.executescript(_SCHEMA)
    finally:
        db.close()
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(aside)  # not a rename: of two processes that start at once, one must lose
    aside.unlink()
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make the folder's entries survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        # Exclusive: a second writer is an error, and SQLite needs no shared memory beside the file.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        # Survives the death of the process; the last moments before a power cut may be lost.
        db.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone() != (_APPLICATION,):
        raise _corrupt(path, "it is not a ledger of ours")
    if db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
        raise StartError(f"the ledger {path} was written by another version of the sidecar")
    findings = db.execute("PRAGMA integrity_check(1)").fetchone()
    if findings != ("ok",) or db.execute("SELECT count(*) FROM run").fetchone() != (1,):
        raise _corrupt(path, "its integrity check failed")


def _corrupt(path: Path, why: str) -> LedgerCorrupt:
    return LedgerCorrupt(
        f"the ledger {path} is damaged: {why}. Starting without it would forget what this run has spent; "
        "delete the pod to begin a new run"
    )
