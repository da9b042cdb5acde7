"""One `up` or `down` at a time per cluster folder, one build at a time of the same thing."""

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
            _acquire(descriptor, f"wait for another command on {path.parent}")
            if _is_current(descriptor, path):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def remove(home: Home) -> None:
    """Remove the lock that we hold, and the cluster's folder if nothing else is in it."""
    home.lock.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: something in it was never ours
        home.root.rmdir()


@contextlib.contextmanager
def alone(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock file that stays; `waiting` is what the user reads when another has it."""
    with path.open("w") as file:
        _acquire(file.fileno(), waiting)
        yield


def _acquire(descriptor: int, waiting: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with progress.step(waiting):
            fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the file still has its name: a `down` that held it before us removes the whole folder."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
