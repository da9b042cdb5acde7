"""The ledger's file: how it is made, checked, and brought up to date; an empty or half file always means damage."""

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Final

from agenttype_sidecar.errors import LedgerCorrupt, StartError

FILE: Final = "ledger.db"

_APPLICATION: Final = 0x41_54_4C_47  # "ATLG": tells our file from any other
_VERSION: Final = 3
_NUMBER: Final = "INTEGER NOT NULL DEFAULT 0"
_KINDS: Final = ("input", "output", "requests", "cost", "tool_calls", "tool_ms")
_AMOUNTS: Final = ", ".join(f"{name} {_NUMBER}" for name in _KINDS)
#: What a hold knows of the run: its sums when the hold was recorded, 0 where another record of that moment has them.
_RUN_THEN: Final = tuple(
    f"{name} {_NUMBER}" for name in (*(f"run_{kind}" for kind in _KINDS), "run_minute", "run_elapsed_ms", "run_busy_ms")
)
#: run: one row, the whole run. count: what began later, less what was before it. hold: what is under way.
_SCHEMA: Final = f"""
CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), starts INTEGER NOT NULL, {_AMOUNTS},
                  minute INTEGER NOT NULL DEFAULT 0, began_ms INTEGER NOT NULL DEFAULT 0,
                  elapsed_ms INTEGER NOT NULL DEFAULT 0, busy_ms INTEGER NOT NULL DEFAULT 0,
                  holder TEXT NOT NULL DEFAULT '', stopped_policy TEXT NOT NULL DEFAULT '',
                  stopped_reason TEXT NOT NULL DEFAULT '');
CREATE TABLE count (key TEXT PRIMARY KEY, place INTEGER NOT NULL, since INTEGER NOT NULL, {_AMOUNTS},
                    drawn INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE hold (number INTEGER NOT NULL, attempt INTEGER NOT NULL, {_AMOUNTS}, {", ".join(_RUN_THEN)},
                   PRIMARY KEY (number, attempt)) WITHOUT ROWID;
"""
#: From the first version: what it held was open when its process ended, so only the sums count.
_FROM_1: Final = f"""
ALTER TABLE run RENAME TO old_run;
ALTER TABLE hold RENAME TO old_hold;
{_SCHEMA}
INSERT INTO run (one, starts, input, output, requests) SELECT one, starts, input, output, requests FROM old_run;
INSERT INTO hold (number, attempt, input, output, requests)
    SELECT row_number() OVER (ORDER BY request, attempt), attempt, input, output, requests FROM old_hold;
DROP TABLE old_run;
DROP TABLE old_hold;
"""  # noqa: S608 — column names of ours
#: From the second version, in which only the run's own row had its sums.
_FROM_2: Final = ";".join(f"ALTER TABLE hold ADD COLUMN {column}" for column in _RUN_THEN)


def opened(path: Path) -> sqlite3.Connection:
    """Return a connection to the ledger, which is made where there is none and brought up to date where it is old.

    Raises:
        LedgerCorrupt: It is damaged or not ours.
        StartError: It was written by a newer sidecar.
        sqlite3.Error: It cannot be opened; another process has it.
        OSError: The folder cannot be used.
    """
    if not path.exists():
        _create(path)
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    db.row_factory = sqlite3.Row
    try:
        # Exclusive: a second writer is an error, and SQLite needs no shared memory beside the file.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        # Survives the death of the process; the last moments before a power cut may be lost.
        db.execute("PRAGMA synchronous = NORMAL")
        _migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def corrupt(path: Path, why: str) -> LedgerCorrupt:
    """Return the error for a ledger that must not be used."""
    return LedgerCorrupt(
        f"the ledger {path} is damaged: {why}. Starting without it would forget what this run has spent; "
        "delete the pod to begin a new run"
    )


def _create(path: Path) -> None:
    """Make a new ledger aside and put it in place whole."""
    if path.with_name(f"{path.name}-wal").exists():
        raise corrupt(path, "its write-ahead log is there, the file is not")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    db = sqlite3.connect(aside, isolation_level=None)
    try:
        # Every write logs whole pages, and ours change some bytes of two: 4096 take half as long again.
        db.execute("PRAGMA page_size = 1024")
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
        db.executescript(_SCHEMA)
        db.execute("INSERT INTO run (one, starts, holder) VALUES (1, 0, ?)", (uuid.uuid4().hex,))
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


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise corrupt(path, "it is not a ledger of ours")
    if not 1 <= _version(db) <= _VERSION:
        raise StartError(f"the ledger {path} was written by a newer version of the sidecar")
    findings = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if findings != "ok" or db.execute("SELECT count(*) FROM run").fetchone()[0] != 1:
        raise corrupt(path, "its integrity check failed")


def _migrate(db: sqlite3.Connection) -> None:
    """Bring the tables up to date, all at once or not at all: the version is part of the transaction."""
    version = _version(db)
    if version == _VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in (_FROM_1 if version == 1 else _FROM_2).split(";"):
        if statement.strip():
            db.execute(statement)
    if version == 1:
        db.execute("UPDATE run SET holder = ?", (uuid.uuid4().hex,))
    db.execute(f"PRAGMA user_version = {_VERSION}")
    db.execute("COMMIT")
