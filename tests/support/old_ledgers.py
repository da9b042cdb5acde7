"""Ledgers as former versions of the sidecar wrote them, each with the same run: 1000, 200, 7, and two open calls."""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Final

from agenttype_sidecar.budget.ledger import FILE
from agenttype_sidecar.budget.reservation import Amounts

#: What the run has spent once its open calls are charged.
SPENT: Final = Amounts(1110, 255, 9)
ORPHANS: Final = 2

_FIRST = """
CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), starts INTEGER NOT NULL,
                  input INTEGER NOT NULL, output INTEGER NOT NULL, requests INTEGER NOT NULL);
CREATE TABLE hold (request TEXT NOT NULL, attempt INTEGER NOT NULL,
                   input INTEGER NOT NULL, output INTEGER NOT NULL, requests INTEGER NOT NULL,
                   PRIMARY KEY (request, attempt)) WITHOUT ROWID;
INSERT INTO run VALUES (1, 3, 1000, 200, 7);
INSERT INTO hold VALUES ('3-8', 1, 100, 50, 1), ('3-9', 2, 10, 5, 1);
PRAGMA application_id = 1096043591;
PRAGMA user_version = 1;
"""
_SECOND = """
CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), starts INTEGER NOT NULL,
                  input INTEGER NOT NULL DEFAULT 0, output INTEGER NOT NULL DEFAULT 0,
                  requests INTEGER NOT NULL DEFAULT 0, cost INTEGER NOT NULL DEFAULT 0,
                  tool_calls INTEGER NOT NULL DEFAULT 0, tool_ms INTEGER NOT NULL DEFAULT 0,
                  minute INTEGER NOT NULL DEFAULT 0, began_ms INTEGER NOT NULL DEFAULT 0,
                  elapsed_ms INTEGER NOT NULL DEFAULT 0, busy_ms INTEGER NOT NULL DEFAULT 0,
                  holder TEXT NOT NULL DEFAULT '', stopped_policy TEXT NOT NULL DEFAULT '',
                  stopped_reason TEXT NOT NULL DEFAULT '');
CREATE TABLE count (key TEXT PRIMARY KEY, place INTEGER NOT NULL, since INTEGER NOT NULL,
                    input INTEGER NOT NULL DEFAULT 0, output INTEGER NOT NULL DEFAULT 0,
                    requests INTEGER NOT NULL DEFAULT 0, cost INTEGER NOT NULL DEFAULT 0,
                    tool_calls INTEGER NOT NULL DEFAULT 0, tool_ms INTEGER NOT NULL DEFAULT 0,
                    drawn INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE hold (number INTEGER NOT NULL, attempt INTEGER NOT NULL,
                   input INTEGER NOT NULL DEFAULT 0, output INTEGER NOT NULL DEFAULT 0,
                   requests INTEGER NOT NULL DEFAULT 0, cost INTEGER NOT NULL DEFAULT 0,
                   tool_calls INTEGER NOT NULL DEFAULT 0, tool_ms INTEGER NOT NULL DEFAULT 0,
                   PRIMARY KEY (number, attempt)) WITHOUT ROWID;
INSERT INTO run (one, starts, input, output, requests, holder, stopped_policy, stopped_reason)
    VALUES (1, 3, 1000, 200, 7, 'me', 'hash', 'enough');
INSERT INTO count (key, place, since, input, output, requests, drawn) VALUES ('a.b', 7, 9, 900, 150, 6, 500);
INSERT INTO hold (number, attempt, input, output, requests) VALUES (8, 1, 100, 50, 1), (9, 2, 10, 5, 1);
PRAGMA application_id = 1096043591;
PRAGMA user_version = 2;
"""
#: Its last dispatch took over a settled call's row, so the run's own row is behind.
_THIRD = (
    _SECOND
    + """
ALTER TABLE hold ADD COLUMN run_input INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_output INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_cost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_tool_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_tool_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_minute INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_elapsed_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hold ADD COLUMN run_busy_ms INTEGER NOT NULL DEFAULT 0;
UPDATE run SET input = 950, output = 180, requests = 6;
UPDATE hold SET run_input = 1000, run_output = 200, run_requests = 7, run_elapsed_ms = 77 WHERE number = 9;
PRAGMA user_version = 3;
"""
)
VERSIONS: Final = {1: _FIRST, 2: _SECOND, 3: _THIRD}


def write(folder: Path, version: int) -> None:
    """Put the ledger of a version into a folder."""
    db = sqlite3.connect(folder / FILE)
    db.executescript(VERSIONS[version])
    db.close()


def write_killed(folder: Path, version: int) -> None:
    """Put the ledger of a version into a folder as a kill leaves it: nearly all of it is in its log."""
    with tempfile.TemporaryDirectory() as aside:
        db = sqlite3.connect(Path(aside, FILE))
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(VERSIONS[version])
        for name in (FILE, f"{FILE}-wal"):
            shutil.copy(Path(aside, name), folder / name)
        db.close()


def write_tool_calls(folder: Path, **calls: int) -> Path:
    """Put the file into a folder that had the counts of tool calls beside those ledgers."""
    path = folder / "tool-calls.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE calls (server TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID")
    db.executemany("INSERT INTO calls VALUES (?, ?)", calls.items())
    db.close()
    return path
