"""Whether an object in the cluster is still what was applied: pure.

It is, when it carries the digest of what we want and no other writer took a field of ours since. Where this process
applied the object, the second shows in the server's own record of our fields. Where an earlier process did, values are
compared; a value that the server rewrote (1000m became 1) then costs one needless apply, never a missed change.
"""

from typing import Any

from agenttype_api import keys

from agenttype_operator.kube.kinds import Raw


def sealed_as(live: Raw, wanted: Raw) -> bool:
    """Whether a live object carries the digest of the wanted one."""
    have = (live["metadata"].get("annotations") or {}).get(keys.ANNOTATION_APPLIED)
    return bool(have == wanted["metadata"]["annotations"][keys.ANNOTATION_APPLIED])


def covers(live: Any, wanted: Any) -> bool:
    """Whether every value that is wanted is there; what else is there does not matter.

    Items of a list may have gained members and, at the list's end or between, company; their order must hold.
    """
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            covers(live.get(name, _emptied(value)), value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        items: list[Any] = live if isinstance(live, list) else []
        rest = iter(items)
        return all(any(covers(candidate, item) for candidate in rest) for item in wanted)
    return bool(live == wanted)


def _emptied(value: Any) -> Any:
    """What stands for an absent member: the server drops empty ones."""
    return value if value in ({}, [], "", None) else _Absent


class _Absent:
    """Equal to nothing that is wanted."""
