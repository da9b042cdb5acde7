"""A file that others replace while we run: told by one stat whether it is another one now.

The kubelet swaps a symbolic link above the files of a ConfigMap or Secret, which changes the inode behind the path. So
the path is followed, and inode, size and time of change are compared; the content is not read.
"""

import os
from pathlib import Path
from typing import NamedTuple


class _Version(NamedTuple):
    device: int
    inode: int
    size: int
    modified_ns: int


class WatchedFile:
    """Tells whether a file was replaced, changed, made or removed since the last look."""

    __slots__ = ("_seen", "path")

    def __init__(self, path: Path) -> None:
        """Watch `path`; the first look finds a change where the file exists."""
        self.path = path
        self._seen: _Version | None = None

    def has_changed(self) -> bool:
        """Look once; return whether anything is different since the last look.

        A file that cannot be reached counts as one that is not there.
        """
        version = self._version()
        if version == self._seen:
            return False
        self._seen = version
        return True

    def forget(self) -> None:
        """Let the next look find a change if the file is there, because reading it failed."""
        self._seen = None

    def _version(self) -> _Version | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 — asked several times a second; Path.stat costs twice as much
        except OSError:
            return None
        return _Version(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
