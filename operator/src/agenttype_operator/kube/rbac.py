"""The rights that the operator uses: no more, no less; the chart's roles are held equal to these lists by a test."""

from typing import Any, Final

_KINDS: Final = ["agenttypes", "modelbackends", "loraadapters", "agentbudgets"]
_READ: Final = ["list", "watch"]
#: Server-side apply of an object that does not exist yet needs create beside patch; get tells whether it exists.
_KEEP: Final = ["get", "list", "watch", "create", "patch", "delete"]

#: In every namespace that is served.
SERVED: Final[list[dict[str, Any]]] = [
    {
        "apiGroups": ["agenttype.dev"],
        "resources": _KINDS,
        "verbs": _READ,
    },
    {
        "apiGroups": ["agenttype.dev"],
        "resources": [f"{plural}/status" for plural in _KINDS],
        "verbs": ["patch"],
    },
    {"apiGroups": [""], "resources": ["serviceaccounts", "configmaps", "services"], "verbs": _KEEP},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _KEEP},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": _KEEP},
    {"apiGroups": [""], "resources": ["pods"], "verbs": [*_READ, "patch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]

#: Cluster-wide: to compare the definitions of our kinds with our own, these four and no others.
DEFINITIONS: Final[list[dict[str, Any]]] = [
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "resourceNames": [f"{plural}.agenttype.dev" for plural in _KINDS],
        "verbs": ["get"],
    },
]

#: In the operator's own namespace.
LEASE: Final[list[dict[str, Any]]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]


def gate(binding: str) -> list[dict[str, Any]]:
    """Rights over the one binding of all gates, by its name, which is its role's name too."""
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiGroups": [group],
            "resources": ["clusterrolebindings"],
            "resourceNames": [binding],
            "verbs": ["get", "patch"],
        },
        {"apiGroups": [group], "resources": ["clusterroles"], "resourceNames": [binding], "verbs": ["bind"]},
    ]
