"""Who may open a connection to a backend's pod: the second line behind the gate's own check of tokens."""

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired import metadata
from agenttype_operator.desired.metadata import Raw


def network_policy(backend: v1alpha1.ModelBackend) -> Raw:
    """NetworkPolicy of a backend: calls from agents of its namespace only.

    The control port is open to all pods of the cluster: the operator and Prometheus read it, their namespaces are not
    ours to know, and it tells no more than which adapters are loaded. The health port needs no rule: traffic of a
    pod's own node, the kubelet's probes, always passes.
    """
    agents = {"matchExpressions": [{"key": keys.LABEL_AGENT_TYPE, "operator": "Exists"}]}
    return {
        **metadata.child(backend, "networking.k8s.io/v1", "NetworkPolicy", names.backend_workload(backend)),
        "spec": {
            "podSelector": {"matchLabels": metadata.selector(backend)},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": agents}], "ports": [{"port": keys.PORT_GATE, "protocol": "TCP"}]},
                {"from": [{"namespaceSelector": {}}], "ports": [{"port": keys.PORT_CONTROL, "protocol": "TCP"}]},
            ],
        },
    }
