"""Bring up etcd, the API server and the controllers: all of a control plane, and the base of a full cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster import api, components, configs, identities

if TYPE_CHECKING:
    from cluster.components import Plan
    from cluster.supervisor import Supervisor

_READY_SECONDS = 60.0
_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


def prepare(plan: Plan) -> None:
    """Write every file that a control plane reads."""
    for folder in ("config", "log"):
        (plan.home / folder).mkdir()
    identities.create(plan)
    for name, text in configs.control_plane().items():
        plan.home.config(name).write_text(text)


def start(plan: Plan, supervisor: Supervisor) -> api.Client:
    """Start it and wait until pods could be made: the `default` ServiceAccount is the controllers' first work."""
    supervisor.start(components.etcd(plan))
    supervisor.start(components.apiserver(plan))
    client = api.Client(plan.home, plan.server)
    supervisor.wait("API server ready", client.ready, _READY_SECONDS)
    supervisor.start(components.controller_manager(plan))
    supervisor.wait("controllers ready", lambda: client.exists(_DEFAULT_ACCOUNT), _READY_SECONDS)
    return client
