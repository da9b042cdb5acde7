"""The identity of a pod: who calls is known by it, so it is never shared."""

from agenttype_operator.desired import metadata
from agenttype_operator.desired.metadata import Owner, Raw


def service_account(owner: Owner, name: str) -> Raw:
    """ServiceAccount of an owner's pods; no token is mounted unless a container asks for one."""
    return {**metadata.child(owner, "v1", "ServiceAccount", name), "automountServiceAccountToken": False}
