"""Security settings: ours in full, and defaults for what a user left open."""

from typing import Any

from agenttype_operator.desired.metadata import Raw

#: Added capabilities that contradict allowPrivilegeEscalation: false; the API server refuses the two together.
_ESCALATING = {"SYS_ADMIN", "CAP_SYS_ADMIN"}


def restricted(uid: int) -> Raw:
    """Security context of a container of ours: a user of its own, nothing else."""
    return {
        "runAsUser": uid,
        "runAsGroup": uid,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def with_defaults(container: Raw) -> Raw:
    """Give a user's container the restricted defaults where it says nothing; what it says stays."""
    said: dict[str, Any] = container.get("securityContext") or {}
    defaults: dict[str, Any] = {"capabilities": {"drop": ["ALL"]}}
    added = (said.get("capabilities") or {}).get("add") or ()
    if not _ESCALATING.intersection(added) and not said.get("privileged"):
        defaults["allowPrivilegeEscalation"] = False
    return {**container, "securityContext": {**defaults, **said}}


def pod_with_defaults(spec: Raw) -> Raw:
    """Pod security context of a user's pod: seccomp RuntimeDefault where it says nothing."""
    return {"seccompProfile": {"type": "RuntimeDefault"}, **(spec.get("securityContext") or {})}
