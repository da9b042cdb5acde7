"""Kubernetes Events as JSON: pure."""

import datetime as dt
from typing import Any, Final

from agenttype_api import keys

from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Raw

_MOST_BYTES: Final = 1024


def event(regarding: Raw, name: str, now: dt.datetime, instance: str) -> Raw:
    """Begin an Event about an object; type, reason, action and note are the caller's to add.

    Args:
        regarding: the object, as it was read.
        name: name of the Event.
        now: time of day.
        instance: name of this replica.
    """
    metadata = regarding["metadata"]
    return {
        "apiVersion": kinds.EVENT.api_version,
        "kind": kinds.EVENT.name,
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "eventTime": moment(now),
        "reportingController": f"{keys.GROUP}/operator",
        "reportingInstance": instance[:128],
        "regarding": reference(regarding),
    }


def reference(raw: Raw) -> dict[str, Any]:
    """Refer to an object."""
    metadata = raw["metadata"]
    return {
        "apiVersion": raw["apiVersion"],
        "kind": raw["kind"],
        **{name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")},
    }


def note(text: str) -> str:
    """Cut a text to what an Event may say; the API server counts bytes."""
    return text.encode()[:_MOST_BYTES].decode(errors="ignore")


def moment(now: dt.datetime) -> str:
    """Write a time as Kubernetes' MicroTime."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
