"""The ledger's file: how it is made and checked; an empty or half file always means damage."""

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path
from typing import Final

from agenttype_sidecar.budget import ledger_schema
from agenttype_sidecar.budget.ledger_watermark import Watermark
from agenttype_sidecar.errors import LedgerCorrupt, StartError

FILE: Final = "ledger.db"

_APPLICATION: Final = 0x41_54_4C_47  # "ATLG": tells our file from any other
_VERSION: Final = 1


def opened(path: Path, mark: Watermark) -> sqlite3.Connection:
    """Return a connection to the ledger, which is made where there is none.

    Raises:
        LedgerCorrupt: It is damaged, gone, or not ours.
        StartError: It was written by another version of the sidecar.
        sqlite3.Error: It cannot be opened; another process has it.
        OSError: The folder cannot be used.
    """
    if not path.exists():
        _create(path, mark)
    db = sqlite3.connect(path, isolation_level=None, timeout=0)
    # A text that is damaged reads as another one, and its row's seal tells.
    db.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        # Exclusive: a second writer is an error, and SQLite needs no shared memory beside the file.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        _check(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        # Survives the death of the process; the last moments before a power cut may be lost.
        db.execute("PRAGMA synchronous = NORMAL")
        _check_whole(db, path, mark)
    except BaseException:
        db.close()
        raise
    return db


def _create(path: Path, mark: Watermark) -> None:
    """Make a new ledger aside and put it in place whole."""
    if path.with_name(f"{path.name}-wal").exists():
        raise LedgerCorrupt(path, "its write-ahead log is there, the file is not")
    if mark.reached is not None and mark.reached.records:
        raise LedgerCorrupt(path, "the mark beside it is there, the file is not")
    path.parent.mkdir(parents=True, exist_ok=True)
    mark.create()
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    db = sqlite3.connect(aside, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")  # it is brought to the disk as a whole, below
        # Every write logs whole pages, and ours change some bytes of two: 4096 take half as long again.
        db.execute("PRAGMA page_size = 1024")
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {_VERSION}")
        for sheet in ledger_schema.ALL:
            db.execute(sheet.create)
        db.execute(ledger_schema.RUN.put, ledger_schema.RUN.blank(holder=uuid.uuid4().hex))
    finally:
        db.close()
    _sync(aside)
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(aside)  # not a rename: of two processes that start at once, one must lose
    aside.unlink()
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Make a file, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
        raise LedgerCorrupt(path, "it is not a ledger of ours")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != _VERSION:
        raise StartError(
            f"the ledger {path} has version {version} and this sidecar reads version {_VERSION} only: "
            f"run the sidecar that wrote it, or delete {path.parent}, which forgets what was spent"
        )
    if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise LedgerCorrupt(path, "its integrity check failed")


def _check_whole(db: sqlite3.Connection, path: Path, mark: Watermark) -> None:
    if dict(db.execute("SELECT name, sql FROM sqlite_schema")) != {
        sheet.name: sheet.create for sheet in ledger_schema.ALL
    }:
        raise LedgerCorrupt(path, "its tables are not those that were made")
    if mark.reached is None:
        raise LedgerCorrupt(path, "the mark beside it is missing")
