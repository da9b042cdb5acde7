"""The record of every side effect of one cluster, each line on disk before its effect is made.

One JSON object a line, so that a writer killed in the middle spoils at most the last line. `down` reads it backwards
and undoes what it finds: an effect that was recorded but never made costs one question, an effect that was made but
never recorded would stay for ever.
"""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from typing import TYPE_CHECKING, Any

from cluster.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Effect:
    """Something made outside the cluster's folder: `kind` says what, `name` which one, `before` what was there."""

    kind: str
    name: str
    before: str = ""


@dataclasses.dataclass(frozen=True)
class Record:
    """All that a journal says."""

    mark: str
    full: bool
    processes: tuple[Process, ...]
    effects: tuple[Effect, ...]
    ready: bool

    def names(self, kind: str) -> list[str]:
        """The names of the effects of a kind, the latest first, each once."""
        return list(dict.fromkeys(effect.name for effect in reversed(self.effects) if effect.kind == kind))


class Journal:
    """The writing side; one writer at a time, by the cluster's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, *, full: bool) -> str:
        """Open a new journal and return the mark that all its processes will carry."""
        mark = uuid.uuid4().hex
        append(self.path, {"cluster": mark, "full": full})
        return mark

    def effect(self, kind: str, name: str, before: str = "") -> None:
        """Record an effect that is about to be made."""
        append(self.path, {"effect": kind, "name": name, "before": before})

    def ready(self) -> None:
        """Record that the cluster was complete once."""
        append(self.path, {"ready": True})


def append(path: Path, line: dict[str, object]) -> None:
    """Put one line on disk, whole, before returning."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"\n{json.dumps(line)}\n".encode())  # the first newline ends a torn line
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Record | None:
    """Read a journal; None when there is none. A torn last line is ignored: its effect was not yet made."""
    try:
        lines = list(_lines(path.read_text(errors="replace")))
    except FileNotFoundError:
        return None
    head = next((line for line in lines if "cluster" in line), {"cluster": "", "full": False})
    return Record(
        mark=str(head["cluster"]),
        full=bool(head["full"]),
        processes=tuple(Process(**line["process"]) for line in lines if "process" in line),
        effects=tuple(Effect(line["effect"], line["name"], line["before"]) for line in lines if "effect" in line),
        ready=any("ready" in line for line in lines),
    )


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue
