"""How many records the ledger has, in a small file beside it: a ledger with fewer records has lost some.

SQLite reads its log up to the first damage, and silently drops what comes after. The watermark detects that. It is
written after the ledger: a kill between the two leaves the ledger ahead, and nothing is lost.

After the death of a process the ledger is complete. After a power cut it may be shorter, by what the machine had not
yet written to its disk. So the watermark also names the boot in which it was written.
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


class WatermarkRecord(NamedTuple):
    """How far a ledger had come.

    Attributes:
        records: How many records it had.
        boot: Names the machine's boot; if it is not known, all boots count as the same.
    """

    records: int
    boot: str


class Watermark:
    """The watermark of the ledger in one folder."""

    def __init__(self, folder: Path, boot: Path = BOOT) -> None:
        """Read the watermark in `folder`, and the file `boot`, which names the machine's boot.

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
        """Whether the machine has not restarted since the watermark was written."""
        return self.reached is not None and self.reached.boot == self._boot

    def create(self) -> None:
        """Create a watermark of 0 records; when this returns, it survives even a power cut.

        Raises:
            OSError: It cannot be written.
        """
        self.reach(0)
        with self._path.open() as file:
            os.fsync(file.fileno())

    def reach(self, records: int) -> None:
        """Write how many records the ledger has; when this returns, it survives the process.

        Raises:
            OSError: It cannot be written.
        """
        reached = WatermarkRecord(records, self._boot)
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(handle, _line(reached), 0)  # one write of less than a page: a kill cannot leave half of it
        finally:
            os.close(handle)
        self.reached = reached

    def _read(self) -> WatermarkRecord | None:
        try:
            line = self._path.read_bytes()
        except FileNotFoundError:
            return None
        if not line:  # the process was killed between creating and writing it
            return None
        text = line.decode(errors="replace")
        records = text[:_DIGITS]
        reached = WatermarkRecord(int(records) if records.isdecimal() else 0, text[_DIGITS + 1 :][:_NAME].rstrip())
        if _line(reached) != line:
            raise LedgerCorrupt(self._path, "it is not as it was written")
        return reached


def _line(reached: WatermarkRecord) -> bytes:
    text = f"{reached.records:0{_DIGITS}} {reached.boot:{_NAME}}"
    return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()
