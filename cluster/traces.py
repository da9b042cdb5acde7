"""Files that the node's programs write outside the cluster's folder, because their paths cannot be set."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from cluster import mounts

if TYPE_CHECKING:
    from cluster.journal import Journal, Record
    from cluster.paths import Home

KIND = "path"
CNI_NETWORK = "agenttype-cluster"
_SHARED = (
    Path("/var/lib/kubelet"),  # device plugins' sockets
    Path("/var/lib/cni"),  # results of CNI calls
    Path("/var/log/containers"),  # links into the pods' logs
    Path("/var/log/pods"),
    Path("/run/containerd"),  # sockets of the containers' keepers
    Path("/opt/containerd"),
    Path("/opt/cni"),
    Path("/etc/cni"),
    Path("/usr/libexec/kubernetes"),
)


def make(journal: Journal) -> None:
    """Record which of the shared folders are not there: those that appear are ours."""
    for path in _SHARED:
        if not path.exists():
            journal.effect(KIND, str(path))


def undo(home: Home, record: Record) -> None:
    """Remove our files from folders that others use too, and whole folders that were not there before."""
    for address in (home / "containerd-state").glob("io.containerd.runtime.v2.task/*/*/address"):
        _unlink(Path(address.read_text().strip().removeprefix("unix://")))
    for result in Path("/var/lib/cni/results").glob(f"{CNI_NETWORK}-*"):
        _unlink(result)
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(home.root):
            _unlink(link)
    for path in map(Path, record.names(KIND)):
        mounts.unmount_below(path)
        shutil.rmtree(path, ignore_errors=True)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
