"""Only one full node fits on a machine; this says whose it is."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import journal, lock, processes, progress
from cluster.errors import UnmetError
from cluster.paths import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.journal import Record

KIND = "claim"
_FILE = Path("/run/agenttype-cluster")


def take(home: Home, written: journal.Journal, clean: Callable[[Home], object]) -> None:
    """Claim the machine for a cluster, after `clean` of a dead one; another live one is an error that names it."""
    written.effect(KIND, str(_FILE))
    while not _write_new(home):
        other = holder()
        if other is None or other.root == home.root:
            _FILE.unlink(missing_ok=True)
            continue
        if other.root.exists():
            with lock.hold(other):
                record = journal.read(other.journal)
                if record is not None and _lives(record):
                    raise UnmetError(
                        f"another full cluster is up in {other.root}",
                        f"python3 cluster down --dir {other.root}, or use that one",
                    )
                progress.say(f"clean the leftovers of a dead cluster in {other.root}")
                clean(other)
        if holder() == other:
            _FILE.unlink()


def undo(home: Home, record: Record) -> None:
    """Give the machine back, if it is still ours."""
    if record.names(KIND) and holder() == home:
        _FILE.unlink(missing_ok=True)


def _lives(record: Record) -> bool:
    return any(processes.alive(process) for process in record.processes) or bool(processes.marked(record.mark))


def holder() -> Home | None:
    """The folder of this machine's full cluster, up or dead; None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        if text := _FILE.read_text():
            return Home(Path(text))
    return None


def _write_new(home: Home) -> bool:
    """Write the claim in one step that fails when another did: a link to a file that is complete."""
    draft = _FILE.with_name(f"{_FILE.name}.{os.getpid()}")
    draft.write_text(str(home.root))
    try:
        os.link(draft, _FILE)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
