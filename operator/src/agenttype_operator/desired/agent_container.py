"""The agent: as its author wrote it, plus what sends its calls to the sidecar."""

from agenttype_api import environment, keys, v1alpha1

from agenttype_operator.desired import security
from agenttype_operator.desired.metadata import Raw


def agent_container(agent: v1alpha1.AgentType, written: Raw) -> Raw:
    """Container of the agent; image, command, arguments and everything else stay as written.

    Args:
        agent: whose pod it is.
        written: the container named agent of its template.
    """
    env = environment.merge(written.get("env") or (), agent, environment.Endpoints())
    container = security.with_defaults({**written, "env": env})
    if agent.spec.injection.wrapper:
        mount = {"name": keys.VOLUME_LIB, "mountPath": keys.WRAPPER_ROOT, "readOnly": True}
        container["volumeMounts"] = [*(written.get("volumeMounts") or ()), mount]
    interface = agent.spec.interface
    if interface and interface.protocol is v1alpha1.Protocol.HTTP and "readinessProbe" not in written:
        container["readinessProbe"] = {"tcpSocket": {"port": interface.port}, "periodSeconds": 5}
    return container
