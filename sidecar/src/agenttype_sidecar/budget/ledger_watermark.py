"""How many records the ledger has, in a small file beside it: a ledger that has fewer has lost some.

SQLite reads its log up to the first damage, and drops what comes after in silence, as if it had never been written.
The mark is what notices. It follows the ledger, never the other way round: a kill between the two leaves the ledger
ahead, which is nothing lost.

What the death of a process leaves is complete. What a power cut leaves may be shorter, by what the machine had not yet
brought to its disk; so the mark also tells in which life of the machine it was written.
"""

import contextlib
import os
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from agenttype_sidecar.errors import LedgerCorrupt

FILE: Final = "ledger.mark"
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")

_DIGITS: Final = 20
_NAME: Final = 36
_UNKNOWN: Final = "unknown"


class Reached(NamedTuple):
    """How far a ledger had come.

    Attributes:
        records: How many records it had.
        boot: Names the life of the machine; one that does not tell is taken to have but one.
    """

    records: int
    boot: str


class Watermark:
    """The mark in one folder."""

    def __init__(self, folder: Path, boot: Path = BOOT) -> None:
        """Look at the mark of the ledger in `folder`, and at the file that names the life of the machine.

        Raises:
            LedgerCorrupt: It is damaged.
            OSError: It cannot be read.
        """
        self._path = folder / FILE
        self._boot = _UNKNOWN
        with contextlib.suppress(OSError):
            self._boot = boot.read_text().strip()[:_NAME]
        self.reached = self._read()

    @property
    def is_of_this_boot(self) -> bool:
        """Whether the machine has been up ever since the mark was written."""
        return self.reached is not None and self.reached.boot == self._boot

    def create(self) -> None:
        """Make a mark of no records; when this returns, not even a power cut makes it missing.

        Raises:
            OSError: It cannot be written.
        """
        self.reach(0)
        with self._path.open() as file:
            os.fsync(file.fileno())

    def reach(self, records: int) -> None:
        """Note how many records the ledger has; when this returns, it survives the death of the process.

        Raises:
            OSError: It cannot be written.
        """
        reached = Reached(records, self._boot)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(handle, _line(reached), 0)  # one write of less than a page: no kill leaves half of it
        finally:
            os.close(handle)
        self.reached = reached

    def _read(self) -> Reached | None:
        try:
            line = self._path.read_bytes()
        except FileNotFoundError:
            return None
        if not line:  # the process was killed between making it and writing it
            return None
        told = line.decode(errors="replace")
        records = told[:_DIGITS]
        reached = Reached(int(records) if records.isdecimal() else 0, told[_DIGITS + 1 :][:_NAME].rstrip())
        if _line(reached) != line:
            raise LedgerCorrupt(self._path, "it is not as it was written")
        return reached


def _line(reached: Reached) -> bytes:
    told = f"{reached.records:0{_DIGITS}} {reached.boot:{_NAME}}"
    return f"{told} {zlib.crc32(told.encode()):08x}\n".encode()
