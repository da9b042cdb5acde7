"""Kernel settings that the node's programs change on their way; each is put back."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.journal import Journal, Record

KIND = "sysctl"
_ROOT = Path("/proc/sys")
# By the CNI plugin (forwarding) and by the kubelet (the rest).
_CHANGED = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)


def make(journal: Journal) -> None:
    """Record what the settings are, and let the node forward packets."""
    for name in _CHANGED:
        with contextlib.suppress(FileNotFoundError):
            journal.effect(KIND, name, before=(_ROOT / name).read_text().strip())
    (_ROOT / "net/ipv4/ip_forward").write_text("1")


def undo(record: Record) -> None:
    """Put back what was there first."""
    for effect in reversed(record.effects):
        if effect.kind == KIND and (_ROOT / effect.name).read_text().strip() != effect.before:
            (_ROOT / effect.name).write_text(effect.before)
