"""Files that the node's programs write outside the cluster's folder, because their paths cannot be set."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster.journal import Journal, Record
    from cluster.paths import Home

KIND = "path"
CNI_NETWORK = "agenttype-cluster"
_PLUGINS = Path("/var/lib/kubelet/device-plugins")
_RESULTS = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")
_KEEPERS = Path("/run/containerd/s")
_SHARED = (_PLUGINS.parent, _PLUGINS, _RESULTS.parent, _RESULTS, _LOG_LINKS, _KEEPERS.parent, _KEEPERS)


def make(journal: Journal) -> None:
    """Record which of the shared folders are not there: those that appear are ours, parents before children."""
    for path in _SHARED:
        if not path.exists():
            journal.effect(KIND, str(path))


def undo(home: Home, record: Record) -> None:
    """Remove our files, then the folders that were not there before, unless others use them by now."""
    made = record.names(KIND)
    for path in _files(home):
        _unlink(path)
    if str(_PLUGINS) in made:
        for name in ("kubelet.sock", "kubelet_internal_checkpoint", "DEPRECATION"):
            _unlink(_PLUGINS / name)
    for folder in map(Path, made):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _files(home: Home) -> Iterator[Path]:
    for address in (home / "containerd-state").glob("io.containerd.runtime.v2.task/*/*/address"):
        yield Path(address.read_text().strip().removeprefix("unix://"))
    for result in _RESULTS.glob(f"{CNI_NETWORK}-*-eth0"):
        sandbox = result.name.removeprefix(f"{CNI_NETWORK}-").removesuffix("-eth0")
        yield result
        yield _RESULTS / f"cni-loopback-{sandbox}-lo"
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(home.root):
            yield link


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
