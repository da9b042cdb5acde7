"""Names of everything that is made for an object: pure, fixed, never longer than Kubernetes takes.

Names of AgentTypes, ModelBackends and LoraAdapters are DNS labels of at most 52 characters (the CRD refuses others),
which leaves room for every suffix below.
"""

import hashlib

from agenttype_api import digests, v1alpha1

#: The sidecar's uid comes from this range: high, so that no image bakes it in by chance.
UID_BASE = 2_000_000_000
UID_RANGE = 100_000_000
#: The init container that copies the wrapper: neither the agent's uid nor the sidecar's.
INJECT_UID = 64_998
GATE_UID = 64_997
ENGINE_UID = 64_996


def workload(agent: v1alpha1.AgentType) -> str:
    """Name of the Deployment, ServiceAccount and Service of an AgentType."""
    return agent.metadata.name


def policy_config_map(agent: v1alpha1.AgentType) -> str:
    """Name of the ConfigMap that holds an AgentType's policy document."""
    return f"{agent.metadata.name}-policy"


def service_account(agent: v1alpha1.AgentType) -> str:
    """`<namespace>/<name>` of the ServiceAccount that an AgentType's pods run as: its identity at the gate."""
    return f"{agent.metadata.namespace}/{agent.metadata.name}"


def backend_workload(backend: v1alpha1.ModelBackend) -> str:
    """Name of the Deployment, ServiceAccount, Service and NetworkPolicy of a ModelBackend that we run."""
    return f"{backend.metadata.name}-backend"


def gate_config_map(backend: v1alpha1.ModelBackend) -> str:
    """Name of the ConfigMap that holds a ModelBackend's gate document."""
    return f"{backend.metadata.name}-gate"


def backend_host(backend: v1alpha1.ModelBackend) -> str:
    """DNS name under which sidecars reach the gate of a ModelBackend that we run."""
    return f"{backend_workload(backend)}.{backend.metadata.namespace}.svc"


def base_model(backend: v1alpha1.ModelBackend) -> str:
    """Name under which the engine serves the base model."""
    return backend.metadata.name


def served_adapter(adapter: v1alpha1.LoraAdapter) -> str:
    """Name under which the engine serves one version of an adapter: `<alias>@<12 hex digits of its digest>`."""
    return f"{adapter.metadata.name}@{digests.short(adapter.spec.source.digest)}"


def backend_credential(backend: str) -> str:
    """Path below the credentials folder of a backend's API key."""
    return f"backends/{backend}/key"


def backend_authority(backend: str) -> str:
    """Path below the credentials folder of the certificate authority that vouches for a backend."""
    return f"backends/{backend}/ca.pem"


def tool_credential(tool: str) -> str:
    """Path below the credentials folder of a tool server's credential."""
    return f"tools/{tool}/credential"


def sidecar_uid(agent_uid: str) -> int:
    """Uid of an AgentType's sidecar: stable for the object, unlikely to be any image's own."""
    number = int.from_bytes(hashlib.sha256(agent_uid.encode()).digest()[:8], "big")
    return UID_BASE + number % UID_RANGE
