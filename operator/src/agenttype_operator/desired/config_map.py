"""The document that a sidecar or a gate reads."""

from agenttype_api import keys, names, policy, v1alpha1
from agenttype_api.gate_policy import GatePolicy

from agenttype_operator.desired import metadata
from agenttype_operator.desired.metadata import Raw


def agent_policy(agent: v1alpha1.AgentType, document: policy.Policy) -> Raw:
    """ConfigMap of an agent's policy; mounted, so a change reaches running pods without a restart."""
    body = metadata.child(agent, "v1", "ConfigMap", names.policy_config_map(agent))
    return {**body, "data": {keys.POLICY_FILE: policy.document_json(document)}}


def gate_policy(backend: v1alpha1.ModelBackend, document: GatePolicy) -> Raw:
    """ConfigMap of a backend's gate document."""
    body = metadata.child(backend, "v1", "ConfigMap", names.gate_config_map(backend))
    return {**body, "data": {keys.GATE_POLICY_FILE: policy.document_json(document)}}
