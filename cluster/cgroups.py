"""The cgroup below which every pod runs, in each hierarchy that this machine has (v1, v2 or both)."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import mounts, processes
from cluster.errors import UnmetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.journal import Journal, Record

KIND = "cgroup"
NAME = "agenttype-cluster"
_CONTROLLERS = {"cpuset", "cpu", "io", "memory", "hugetlb", "pids"}  # the kubelet insists on those that exist
_TRIES = 20


def make(journal: Journal) -> None:
    """Make it: the kubelet refuses a root that is absent from any hierarchy."""
    journal.effect(KIND, NAME)
    for root in mounts.of_type("cgroup"):
        _enable(root)
        try:
            (root / NAME).mkdir(exist_ok=True)
        except OSError as error:
            fix = "use a machine, or a privileged container, that may write its cgroups"
            raise UnmetError(f"cannot make a cgroup in {root}: {error.strerror}", fix) from error


def _enable(root: Path) -> None:
    """Hand a v2 hierarchy's controllers to its children, as every container runtime does; in v1 they need no leave."""
    try:
        available = (root / "cgroup.controllers").read_text().split()
    except FileNotFoundError:
        return
    for name in sorted(_CONTROLLERS.intersection(available)):
        with contextlib.suppress(OSError):  # refused in a nested root; the kubelet then names what it misses
            (root / "cgroup.subtree_control").write_text(f"+{name}")


def kill(record: Record, tick: Callable[[], None]) -> None:
    """End every process of every pod, whatever became of its container's keeper."""
    for folder in _folders(record):
        members: set[int] = set()
        for current, _, _ in os.walk(folder):
            with contextlib.suppress(OSError):
                members |= {int(pid) for pid in Path(current, "cgroup.procs").read_text().split()}
        processes.stop(processes.of_pids(members), 0.0, tick)


def undo(record: Record) -> None:
    """Remove the empty cgroups, the deepest first; a dying process holds its own for a moment."""
    for folder in _folders(record):
        for current, _, _ in os.walk(folder, topdown=False):
            _remove(Path(current))


def _remove(folder: Path) -> None:
    for attempt in range(_TRIES):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.1)
        else:
            return


def _folders(record: Record) -> list[Path]:
    found = (root / name for name in record.names(KIND) for root in mounts.of_type("cgroup"))
    return [folder for folder in found if folder.exists()]
