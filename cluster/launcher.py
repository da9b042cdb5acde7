"""Become a component, after recording who we are: the pid is in the journal before its program runs.

Run as `python3 launcher.py JOURNAL NAME LOCK PROGRAM ARGUMENT…`. The lock of the cluster arrives as descriptor LOCK and
closes at exec, so that a `down` that waits for the lock sees either this record or no process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cluster import journal, processes


def main() -> None:
    """Record this process, then exec the component."""
    path, name, lock, *command = sys.argv[1:]
    os.set_inheritable(int(lock), False)
    pid = os.getpid()
    start = processes.start_time(pid)
    record = {"name": name, "pid": pid, "start": start, "boot": processes.boot_id(), "program": command[0]}
    journal.append(Path(path), {"process": record})
    os.execv(command[0], command)  # noqa: S606 — exec is the point: same pid, same start time


if __name__ == "__main__":
    main()
