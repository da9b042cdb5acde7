"""Folders in memory, for tests that write thousands of small files which must survive a process and nothing more."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MEMORY: Final = "/dev/shm"


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder that a sync costs nothing in, where the machine has such; an ordinary one elsewhere."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as name:
        yield Path(name)
