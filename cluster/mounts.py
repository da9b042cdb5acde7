"""Mounts below a folder, found in the kernel's own list."""

from __future__ import annotations

import re
from pathlib import Path

from cluster import commands
from cluster.errors import BrokenError

_LIST = Path("/proc/self/mountinfo")
_TARGET_FIELD = 4
_TRIES = 3


def below(folder: Path, text: str | None = None) -> list[Path]:
    """The mount points in and below a folder, the latest first."""
    lines = (_LIST.read_text() if text is None else text).splitlines()
    targets = [Path(_unescape(line.split(" ")[_TARGET_FIELD])) for line in lines]
    return [target for target in reversed(targets) if target.is_relative_to(folder)]


def of_type(prefix: str, text: str | None = None) -> list[Path]:
    """The mount points of every filesystem whose type begins with `prefix`."""
    lines = (_LIST.read_text() if text is None else text).splitlines()
    return [
        Path(_unescape(line.split(" ")[_TARGET_FIELD])) for line in lines if line.partition(" - ")[2].startswith(prefix)
    ]


def unmount_below(folder: Path) -> None:
    """Unmount everything in and below a folder; what is still in use goes when its last user does."""
    for _ in range(_TRIES):
        targets = below(folder)
        if not targets:
            return
        for target in targets:
            if not commands.succeeds("umount", str(target)):
                commands.succeeds("umount", "--lazy", str(target))
    if targets := below(folder):
        raise BrokenError(f"cannot unmount {targets[0]}", "run `down` again")


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
