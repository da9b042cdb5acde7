"""The agent's workload."""

import copy

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import agent_container, agent_volumes, inject_container, metadata, security
from agenttype_operator.desired import sidecar_container as sidecar
from agenttype_operator.desired.metadata import Raw
from agenttype_operator.settings import Making


def agent_deployment(
    agent: v1alpha1.AgentType, backends: list[v1alpha1.ModelBackend], making: Making, *, stopped: bool = False
) -> Raw:
    """Deployment of an agent.

    Its template depends on the spec, the images, whether there is a store, and which backends and tools need a
    credential; never on the policy, so that a new policy restarts nothing.

    Args:
        agent: whose workload it is.
        backends: the backends that its routes and their fallbacks use.
        making: which images, and which store.
        stopped: whether no pod may run, whatever the spec says.
    """
    return {
        **metadata.child(agent, "apps/v1", "Deployment", names.workload(agent)),
        "spec": {
            "replicas": 0 if stopped else agent.spec.replicas,
            "selector": {"matchLabels": metadata.selector(agent)},
            "template": _template(agent, backends, making),
        },
    }


def _template(agent: v1alpha1.AgentType, backends: list[v1alpha1.ModelBackend], making: Making) -> Raw:
    images = making.images
    template = copy.deepcopy(agent.spec.template)
    written = template.get("metadata") or {}
    spec = template["spec"]
    credentials = agent_volumes.credentials_volume(agent, backends)
    init = [sidecar.sidecar_container(agent, images, credentials=credentials is not None)]
    if agent.spec.injection.wrapper:
        init.append(inject_container.inject_container(images))
    init += [security.with_defaults(container) for container in spec.get("initContainers") or ()]
    return {
        "metadata": {
            "labels": {**(written.get("labels") or {}), **metadata.labels(agent)},
            "annotations": {
                keys.ANNOTATION_DEFAULT_CONTAINER: keys.CONTAINER_AGENT,
                **(written.get("annotations") or {}),
            },
        },
        "spec": {
            **spec,
            "serviceAccountName": names.workload(agent),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": security.pod_with_defaults(spec),
            "initContainers": init,
            "containers": [_container(agent, container) for container in spec["containers"]],
            "volumes": [
                *(spec.get("volumes") or ()),
                *agent_volumes.agent_volumes(agent, credentials, shares=making.nats_url is not None),
            ],
        },
    }


def _container(agent: v1alpha1.AgentType, written: Raw) -> Raw:
    if written["name"] == keys.CONTAINER_AGENT:
        return agent_container.agent_container(agent, written)
    return security.with_defaults(written)
