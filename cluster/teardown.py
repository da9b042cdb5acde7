"""Undo what a journal says, in the reverse order of making; safe to run on anything, any number of times."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from cluster import journal, processes, progress
from cluster.errors import BrokenError

if TYPE_CHECKING:
    from cluster.paths import Home

_GRACE_SECONDS = 12.0  # the API server finishes open watches for up to ten
_SWEEPS = 5


def run(home: Home, *, keep: bool = False) -> bool:
    """Leave nothing of the cluster but the lock, or also its files when asked; False when there was none."""
    record = journal.read(home.journal)
    if record is not None:
        with progress.step("stop the components") as shown:
            _stop_processes(record, shown)
        home.journal.rename(home.last_journal)
    if home.last_journal.exists() and not keep:
        _empty(home)
    return record is not None


def _empty(home: Home) -> None:
    """Remove the folder's content, the sign that it is ours last, so that a second try may follow the first."""
    for path in sorted(home.root.iterdir(), key=lambda path: path == home.last_journal):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != home.lock:
            path.unlink()


def _stop_processes(record: journal.Record, shown: progress.Step) -> None:
    for process in reversed(record.processes):
        if processes.alive(process):
            processes.stop([process], _GRACE_SECONDS, shown.tick)
    for _ in range(_SWEEPS):
        left = processes.marked(record.mark)
        if not left:
            return
        processes.stop(left, 1.0, shown.tick)
    names = ", ".join(f"{process.name} ({process.pid})" for process in processes.marked(record.mark))
    if names:
        raise BrokenError(f"processes do not end: {names}", "run `down` again")
