"""Calls per tool server in this run: a small file beside the ledger, written before a call goes out.

Only servers that have such a limit are counted. A commit survives the death of the process; that of the machine ends
the run anyway.
"""

import sqlite3
from pathlib import Path
from typing import Final

from agenttype_sidecar.errors import LedgerCorrupt, LedgerUnavailable, StartError

FILE: Final = "tool-calls.db"
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS calls (server TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID"
_ADD: Final = (
    "INSERT INTO calls VALUES (?, ?) ON CONFLICT (server) DO UPDATE SET number = max(0, number + excluded.number)"
)


class StoredRunCounts:
    """Counts that outlive the process; one process at a time, which the ledger's lock sees to."""

    def __init__(self, folder: Path) -> None:
        """Open or create the file in the ledger's folder.

        Raises:
            LedgerCorrupt: The file is damaged; starting empty would forget calls.
            StartError: The folder cannot be written.
        """
        path = folder / FILE
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute(_SCHEMA)
            self._counts: dict[str, int] = dict(self._db.execute("SELECT server, number FROM calls").fetchall())
        except sqlite3.OperationalError as error:
            raise StartError(f"the counts of tool calls {path} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise LedgerCorrupt(path, str(error)) from error

    def of(self, server: str) -> int:
        """Return how many calls of a server have gone out in this run."""
        return self._counts.get(server, 0)

    def add(self, server: str, calls: int) -> None:
        """Count calls of a server; the count is on record when this returns.

        Raises:
            LedgerUnavailable: It cannot be recorded; nothing was counted.
        """
        try:
            self._db.execute(_ADD, (server, calls))
        except sqlite3.Error as error:
            raise LedgerUnavailable("calls of tools cannot be counted, so none are made") from error
        self._counts[server] = max(0, self.of(server) + calls)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
