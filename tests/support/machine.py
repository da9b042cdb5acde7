"""What a machine has, to tell what a cluster left on it."""

import subprocess
from pathlib import Path

#: Where the programs of a node write, whatever folder they are given.
_SHARED = (
    "/run",
    "/var/lib",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log",
    "/opt",
    "/etc",
    "/usr/libexec",
    "/etc/cni",
)
#: Where images are built, perhaps by another program just now.
_IMAGE_BUILDS = "/agenttype/cluster/buildah/"
_SETTINGS = ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")


def snapshot() -> dict[str, list[str]]:
    """Links, routes, mounts, packet rules, cgroups, shared folders and kernel settings, each sorted."""
    found = {
        "links": [line.split()[0] for line in _lines("ip", "-brief", "link")],
        "routes": _lines("ip", "route"),
        "mounts": [mount for mount in _mounts() if _IMAGE_BUILDS not in mount],
        "tables": _lines("nft", "list", "tables"),
        "cgroups": list(map(str, Path("/sys/fs/cgroup").glob("**/agenttype-cluster"))),
        "shared": [str(path) for folder in _SHARED for path in Path(folder).glob("*") if not path.name.startswith(".")],
        "settings": [f"{name}={Path('/proc/sys', name).read_text().strip()}" for name in _SETTINGS],
    }
    return {what: sorted(entries) for what, entries in found.items()}


def processes_that_name(folder: Path) -> list[str]:
    """The command lines of running processes that mention a folder: every program of a cluster does."""
    lines = _lines("ps", "-wweo", "stat,args")
    return [line for line in lines if str(folder) in line and not line.startswith(("Z", "R+"))]


def _mounts() -> list[str]:
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
