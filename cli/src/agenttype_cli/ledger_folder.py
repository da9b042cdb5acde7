"""A folder that keeps a ledger from one run to the next, for one run at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agenttype_cli.errors import Missing

_PRIVATE: Final = 0o700


@contextmanager
def locked(wanted: Path) -> Iterator[Path]:
    """Give the folder, made where it is not there; no other run has it meanwhile, or would change our policy.

    Raises:
        Missing: it cannot be used, or another run uses it.
    """
    try:
        path = wanted.expanduser().absolute()
        path.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        lock = (path / "lock").open("ab")
    except (OSError, RuntimeError) as error:  # RuntimeError: `~` has no home
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise Missing(f"--ledger {wanted}: {said}; give a folder that can be written") from error
    with lock:  # closed, it is open to others
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Missing(f"--ledger {wanted}: another run uses it; wait for it, or give another folder") from error
        yield path
