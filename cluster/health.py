"""Say which component of a cluster lives."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from cluster import api, journal, processes

if TYPE_CHECKING:
    from cluster.paths import Home


@dataclasses.dataclass(frozen=True)
class Line:
    """The state of one component."""

    name: str
    pid: int
    up: bool


def lines(record: journal.Record) -> list[Line]:
    """Every component that was started, in the order of starting."""
    return [Line(process.name, process.pid, processes.alive(process)) for process in record.processes]


def healthy(home: Home, record: journal.Record) -> bool:
    """Whether a cluster was complete once, has lost no process, and its API server answers."""
    return record.ready and all(line.up for line in lines(record)) and api.Client.of(home).ready()
