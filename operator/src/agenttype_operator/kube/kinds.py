"""The kinds we read and write, and how their URLs are built: one table, no discovery at run time."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from agenttype_api import keys

#: A Kubernetes object as JSON.
Raw = dict[str, Any]


class Key(NamedTuple):
    """Names one object."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Kind:
    """A kind of the API."""

    name: str
    api_version: str
    plural: str
    ours: bool = True
    """Whether we see only objects that carry our managed-by label."""

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """URL path of a collection, an object or its subresource; an empty namespace means all, or cluster scope."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        return root + scope + "".join(f"/{part}" for part in (self.plural, name, subresource) if part)

    @property
    def group(self) -> str:
        """API group; empty for the core."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """API version without its group."""
        return self.api_version.rpartition("/")[2]


AGENT_TYPE: Final = Kind("AgentType", keys.API_VERSION, "agenttypes", ours=False)
MODEL_BACKEND: Final = Kind("ModelBackend", keys.API_VERSION, "modelbackends", ours=False)
LORA_ADAPTER: Final = Kind("LoraAdapter", keys.API_VERSION, "loraadapters", ours=False)
AGENT_BUDGET: Final = Kind("AgentBudget", keys.API_VERSION, "agentbudgets", ours=False)
POD: Final = Kind("Pod", "v1", "pods")
SERVICE_ACCOUNT: Final = Kind("ServiceAccount", "v1", "serviceaccounts")
CONFIG_MAP: Final = Kind("ConfigMap", "v1", "configmaps")
SERVICE: Final = Kind("Service", "v1", "services")
DEPLOYMENT: Final = Kind("Deployment", "apps/v1", "deployments")
NETWORK_POLICY: Final = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
LEASE: Final = Kind("Lease", "coordination.k8s.io/v1", "leases")
EVENT: Final = Kind("Event", "events.k8s.io/v1", "events")
TOKEN_REVIEW: Final = Kind("TokenReview", "authentication.k8s.io/v1", "tokenreviews")
CRD: Final = Kind("CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", ours=False)
BINDING: Final = Kind("ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings")

#: What users write.
OWNERS: Final = (AGENT_TYPE, MODEL_BACKEND, LORA_ADAPTER, AGENT_BUDGET)
#: What we make for them, and prune.
CHILDREN: Final = (SERVICE_ACCOUNT, CONFIG_MAP, DEPLOYMENT, SERVICE, NETWORK_POLICY)
#: What the cache holds.
WATCHED: Final = (*OWNERS, *CHILDREN, POD)
BY_NAME: Final = {kind.name: kind for kind in (*WATCHED, LEASE, EVENT, BINDING)}

SELECTOR: Final = f"{keys.LABEL_MANAGED_BY}={keys.MANAGED_BY}"


def key_of(kind: str, raw: Raw) -> Key:
    """Key of an object."""
    return Key(kind, raw["metadata"].get("namespace", ""), raw["metadata"]["name"])


def version_of(raw: Raw) -> int:
    """Resource version as a number: versions of one kind are comparable (Kubernetes 1.35 promises it)."""
    return int(raw["metadata"].get("resourceVersion") or 0)


def owner_of(raw: Raw) -> Raw | None:
    """The controller among an object's ownerReferences."""
    for reference in raw["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Raw = reference
            return found
    return None


def user_of(raw: Raw) -> Key | None:
    """Key of the AgentType or ModelBackend that a labelled Pod or child belongs to."""
    labels = raw["metadata"].get("labels") or {}
    for label, kind in ((keys.LABEL_AGENT_TYPE, AGENT_TYPE), (keys.LABEL_MODEL_BACKEND, MODEL_BACKEND)):
        if label in labels:
            return Key(kind.name, raw["metadata"].get("namespace", ""), labels[label])
    return None
