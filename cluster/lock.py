"""One `up` or `down` at a time per cluster folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from cluster import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cluster.paths import Home


@contextlib.contextmanager
def hold(home: Home) -> Iterator[int]:
    """Hold a cluster's lock, waiting for its holder; yields the descriptor, for children that must prolong it."""
    path = home.lock
    while True:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(descriptor, path)
            if _is_current(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _acquire(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with progress.step(f"wait for another command on {path.parent}"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the file still has its name: a `down` that held it before us removes the whole folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
