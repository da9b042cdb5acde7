"""The system's own programs, from Debian's packages where they are missing."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from cluster import commands, paths, progress
from cluster.errors import UnmetError


@dataclasses.dataclass(frozen=True)
class Package:
    """A Debian package and the file or command that shows it is there."""

    name: str
    proof: str

    @property
    def present(self) -> bool:
        """Whether what we need of it can be found."""
        return Path(self.proof).exists() if self.proof.startswith("/") else commands.find(self.proof) is not None


NODE = (
    Package("containerd", "containerd"),
    Package("runc", "runc"),
    Package("containernetworking-plugins", "/usr/lib/cni/ptp"),
    Package("nftables", "nft"),
    Package("iproute2", "ip"),
    Package("mount", "umount"),
    Package("openssl", "openssl"),
)
IMAGES = (
    Package("buildah", "buildah"),
    Package("debootstrap", "debootstrap"),
    Package("debian-archive-keyring", "/usr/share/keyrings/debian-archive-keyring.gpg"),
)


def ensure(wanted: tuple[Package, ...]) -> None:
    """Install what is missing; a machine without apt-get is told what to install."""
    missing = [package for package in wanted if not package.present]
    if not missing:
        return
    names = [package.name for package in missing]
    if not commands.find("apt-get"):
        raise UnmetError(f"missing: {', '.join(package.proof for package in missing)}", f"install {', '.join(names)}")
    quiet = commands.environment() | {"DEBIAN_FRONTEND": "noninteractive"}
    log = paths.cache() / "apt.log"
    with progress.step("apt-get update") as shown:
        progress.run(["apt-get", "update"], shown=shown, log=log, env=quiet)
    with progress.step(f"apt-get install {' '.join(names)}") as shown:
        progress.run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *names], shown=shown, log=log, env=quiet
        )
    if absent := [package.proof for package in missing if not package.present]:
        raise UnmetError(f"still missing after the installation: {', '.join(absent)}", f"read {log}")


def require_root(what: str) -> None:
    """Refuse an ordinary user, before anything is made."""
    if os.geteuid() != 0:
        raise UnmetError(
            f"{what} needs root",
            "use sudo; or `up --control-plane-only`, which needs none and serves the API without a node",
        )
