"""How others reach an agent or a backend."""

from typing import Final

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import metadata
from agenttype_operator.desired.metadata import Owner, Raw

#: Three hours: Kubernetes' own default, written out because the seal of what was applied must cover it.
_STAY_SECONDS: Final = 10800


def agent_service(agent: v1alpha1.AgentType) -> Raw | None:
    """Service of an agent that serves HTTP, port 80 to its port; None for an agent that serves nothing."""
    interface = agent.spec.interface
    if interface is None or interface.protocol is not v1alpha1.Protocol.HTTP:
        return None
    return _service(agent, names.workload(agent), 80, interface.port)


def backend_service(backend: v1alpha1.ModelBackend) -> Raw:
    """Service of a backend that we run: it leads to the gate, never to the engine."""
    service = _service(backend, names.backend_workload(backend), keys.PORT_BACKEND_SERVICE, keys.PORT_GATE)
    # A stored response (previous_response_id) and a cached prefix lie on one replica only: a pod's calls stay there.
    affinity = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": _STAY_SECONDS}}}
    return {**service, "spec": {**service["spec"], **affinity}}


def _service(owner: Owner, name: str, port: int, target: int) -> Raw:
    return {
        **metadata.child(owner, "v1", "Service", name),
        "spec": {
            "selector": metadata.selector(owner),
            "ports": [{"name": "http", "port": port, "targetPort": target, "protocol": "TCP"}],
        },
    }
