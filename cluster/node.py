"""Bring up the full cluster: a control plane on the node's address, one node, Services and DNS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cluster import (
    bridge,
    cgroups,
    commands,
    components,
    configs,
    control_plane,
    kernel,
    names,
    objects,
    packet_filter,
    stray_files,
)

if TYPE_CHECKING:
    from cluster import api
    from cluster.components import Plan
    from cluster.journal import Journal
    from cluster.supervisor import Supervisor

_READY_SECONDS = 120.0
_API_NAME = "kubernetes.default.svc.cluster.local"


def make_host(plan: Plan, journal: Journal) -> None:
    """Everything outside the cluster's folder that a node needs."""
    stray_files.make(journal)
    kernel.make(journal)
    cgroups.make(journal)
    bridge.make(plan.network, journal)
    packet_filter.make(plan.network, journal)


def prepare(plan: Plan) -> None:
    """Write every file that the node's programs read."""
    plan.home.config("cni").mkdir()
    for name, text in configs.node(plan, forward=_host_resolves()).items():
        plan.home.config(name).write_text(text)


def start(plan: Plan, supervisor: Supervisor, pause: Path) -> None:
    """Start everything; returns when the node is ready and DNS answers through its Service."""
    supervisor.start(components.containerd(plan, commands.find("containerd") or "containerd"))
    client = control_plane.start(plan, supervisor)
    supervisor.start(components.scheduler(plan))
    supervisor.wait("container runtime ready", lambda: import_image(plan, pause), _READY_SECONDS)
    supervisor.start(components.kubelet(plan))
    supervisor.start(components.proxy(plan))
    supervisor.start(components.coredns(plan))
    for path, manifest in objects.initial(plan.network).items():
        client.apply(path, manifest)
    supervisor.wait("node ready", lambda: _node_ready(plan, client), _READY_SECONDS)
    dns = plan.network.dns_service
    supervisor.wait("DNS answers", lambda: names.resolves(dns, _API_NAME, plan.network.api_service), _READY_SECONDS)


def import_image(plan: Plan, archive: Path) -> bool:
    """Give the node an image; False as long as its runtime does not take it."""
    return commands.succeeds(*import_command(plan.home.containerd_socket, archive))


def import_command(socket: Path, archive: Path) -> tuple[str, ...]:
    """Pure: the command that puts an archive's image where the kubelet looks."""
    return ("ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "import", str(archive))


def _node_ready(plan: Plan, client: api.Client) -> bool:
    path = f"/api/v1/nodes/{plan.node}"
    if not client.exists(path):
        return False
    conditions = client.get(path)["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _host_resolves() -> bool:
    try:
        return "nameserver" in Path("/etc/resolv.conf").read_text()
    except OSError:
        return False
