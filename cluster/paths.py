"""Where everything lies: the cache that outlives clusters, and the folder of one cluster."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parent


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "agenttype" / "cluster"


def cache() -> Path:
    """The folder of what is built once: binaries, base image, image archives."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def default_home() -> Path:
    """The folder of the one full cluster, unless the user names another."""
    return _xdg("XDG_STATE_HOME", ".local/state")


@dataclasses.dataclass(frozen=True)
class Home:
    """The folder of one cluster: every file that it writes lies below `root`."""

    root: Path

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    @property
    def journal(self) -> Path:
        """The record of every side effect, written before it is made."""
        return self.root / "journal.jsonl"

    @property
    def last_journal(self) -> Path:
        """The journal of a cluster that is down, where its folder was kept."""
        return self.root / "journal.last.jsonl"

    @property
    def lock(self) -> Path:
        """Held by every command that changes the cluster."""
        return self.root / "lock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def audit_log(self) -> Path:
        """One JSON event a line: every request that the API server answered."""
        return self.root / "audit.log"

    @property
    def containerd_socket(self) -> Path:
        """The node's container runtime."""
        return self.root / "containerd.sock"

    def config(self, component: str) -> Path:
        """The configuration file or kubeconfig of a component."""
        return self.root / "config" / component

    def log(self, component: str) -> Path:
        """What a component prints."""
        return self.root / "log" / f"{component}.log"
