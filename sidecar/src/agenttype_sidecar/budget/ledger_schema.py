"""The ledger's tables: rows of texts and whole numbers, each with a seal that tells whether it is as it was written.

SQLite notices a page whose build is damaged; a number that is merely another it believes. The seal is a CRC-32 of the
row's values: it notices every damage of up to four bytes in a row, and all but one in four thousand million others.
"""

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

from agenttype_sidecar.budget.amounts import Amounts

#: Texts, then whole numbers; what a damaged file has instead may be anything.
Row = tuple[Any, ...]

#: What the run had come to when a record was written: which record it was, what was spent, and the run's times.
_THEN: Final = ("record", *Amounts._fields, "minute", "elapsed_ms", "busy_ms")


class LedgerTable:
    """One table.

    Attributes:
        name: Its name.
        create: The statement that makes it; the file keeps that to the letter.
        put: The statement that writes a sealed row, in place of the one with the same key.
        change: The statement that puts a sealed row where there is one with the key that follows it.
        drop: The statement that deletes the row with a key.
    """

    def __init__(self, name: str, key: str, texts: tuple[str, ...], numbers: tuple[str, ...]) -> None:
        """Describe a table whose columns are its texts, its numbers, and the seal; `key` names columns with commas."""
        self.name = name
        self._texts = texts
        self._numbers = numbers
        self._pack = struct.Struct(f"<{len(numbers)}q").pack
        columns = [*(f"{text} TEXT NOT NULL" for text in texts), *(f"{number} INTEGER NOT NULL" for number in numbers)]
        self.create = (
            f"CREATE TABLE {name} ({', '.join(columns)}, seal INTEGER NOT NULL, PRIMARY KEY ({key})) WITHOUT ROWID"
        )
        names, places = ", ".join((*texts, *numbers, "seal")), ", ".join("?" * (len(columns) + 1))
        where = " AND ".join(f"{column.strip()} = ?" for column in key.split(","))
        self.put = f"INSERT OR REPLACE INTO {name} VALUES ({places})"  # noqa: S608 — names of ours, as all below
        self.change = f"UPDATE {name} SET ({names}) = ({places}) WHERE {where}"  # noqa: S608
        self.drop = f"DELETE FROM {name} WHERE {where}"  # noqa: S608
        self._read = f"SELECT {names} FROM {name}"  # noqa: S608

    def sealed(self, row: Row) -> Row:
        """Return a row as it is written."""
        return (*row, self._seal(row))

    def blank(self, **texts: str) -> Row:
        """Return a sealed row with these texts; its others are empty, its numbers 0."""
        return self.sealed((*(texts.get(name, "") for name in self._texts), *(0 for _ in self._numbers)))

    def rows(self, db: sqlite3.Connection) -> Iterator[Row]:
        """Return all rows, without their seals.

        Raises:
            sqlite3.DatabaseError: One is not as it was written.
        """
        for row, is_whole in self.judged(db):
            if not is_whole:
                raise sqlite3.DatabaseError(f"a row of its table {self.name!r} is not as it was written")
            yield row

    def judged(self, db: sqlite3.Connection) -> Iterator[tuple[Row, bool]]:
        """Return all rows, and of each whether it is as it was written."""
        for *values, seal in db.execute(self._read):
            row = tuple(values)
            yield row, self._is_whole(row, seal)

    def _is_whole(self, row: Row, seal: object) -> bool:
        try:
            return self._seal(row) == seal
        except (struct.error, TypeError):  # a number where a text was, or the other way round
            return False

    def _seal(self, row: Row) -> int:
        if not self._texts:
            return zlib.crc32(self._pack(*row))
        count = len(self._texts)
        return zlib.crc32(self._pack(*row[count:]), zlib.crc32("\0".join(row[:count]).encode()))


#: One row: the run as a whole.
RUN: Final = LedgerTable(
    "run", "holder", ("holder", "stopped_policy", "stopped_reason"), ("starts", "began_ms", *_THEN)
)
#: What began later than the run, less what was before it.
COUNT: Final = LedgerTable("count", "key", ("key",), ("place", "since", *Amounts._fields, "drawn"))
#: What is under way, and what the run had come to when it went out.
HOLD: Final = LedgerTable(
    "hold", "number, attempt", (), ("number", "attempt", *Amounts._fields, *(f"run_{name}" for name in _THEN))
)
#: How often limited tool servers were called.
TOOL: Final = LedgerTable("tool", "server", ("server",), ("calls",))
#: Which backend keeps which response.
RESPONSE: Final = LedgerTable("response", "number", ("name", "backend"), ("number",))
ALL: Final = (RUN, COUNT, HOLD, TOOL, RESPONSE)
