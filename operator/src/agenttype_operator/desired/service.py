"""How others reach an agent or a backend."""

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import metadata
from agenttype_operator.desired.metadata import Owner, Raw


def agent_service(agent: v1alpha1.AgentType) -> Raw | None:
    """Service of an agent that serves HTTP, port 80 to its port; None for an agent that serves nobody."""
    interface = agent.spec.interface
    if interface is None or interface.protocol is not v1alpha1.Protocol.HTTP:
        return None
    return _service(agent, names.workload(agent), 80, interface.port)


def backend_service(backend: v1alpha1.ModelBackend) -> Raw:
    """Service of a backend that we run: it leads to the gate, never to the engine."""
    return _service(backend, names.backend_workload(backend), keys.PORT_BACKEND_SERVICE, keys.PORT_GATE)


def _service(owner: Owner, name: str, port: int, target: int) -> Raw:
    return {
        **metadata.child(owner, "v1", "Service", name),
        "spec": {
            "selector": metadata.selector(owner),
            "ports": [{"name": "http", "port": port, "targetPort": target, "protocol": "TCP"}],
        },
    }
