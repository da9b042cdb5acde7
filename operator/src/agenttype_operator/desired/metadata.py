"""Labels, owner and metadata that everything we make carries."""

import hashlib
import json
from typing import Any

from agenttype_api import keys, v1alpha1

Owner = v1alpha1.AgentType | v1alpha1.ModelBackend
Raw = dict[str, Any]

_LABELS = {"AgentType": (keys.LABEL_AGENT_TYPE, "agent"), "ModelBackend": (keys.LABEL_MODEL_BACKEND, "backend")}


def selector(owner: Owner) -> dict[str, str]:
    """Labels by which an owner's pods are found; they never change, since a Deployment's selector cannot."""
    return {_LABELS[owner.kind][0]: owner.metadata.name}


def labels(owner: Owner) -> dict[str, str]:
    """Labels of everything made for an owner."""
    return {
        **selector(owner),
        keys.LABEL_MANAGED_BY: keys.MANAGED_BY,
        keys.LABEL_COMPONENT: _LABELS[owner.kind][1],
    }


def child(owner: Owner, api_version: str, kind: str, name: str) -> Raw:
    """Begin an object of an owner: it is deleted with it, by Kubernetes itself."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": owner.metadata.namespace,
            "labels": labels(owner),
            "ownerReferences": [
                {
                    "apiVersion": owner.api_version,
                    "kind": owner.kind,
                    "name": owner.metadata.name,
                    "uid": owner.metadata.uid,
                    "controller": True,
                }
            ],
        },
    }


def text(body: Raw) -> str:
    """Write an object as JSON: same object, same bytes."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def digest(body: Raw) -> str:
    """First 16 hex digits of the sha256 of an object's JSON."""
    return hashlib.sha256(text(body).encode()).hexdigest()[:16]


def sealed(body: Raw) -> Raw:
    """Add the annotation that tells, after any restart of ours, that this very object was applied."""
    annotations = {**body["metadata"].get("annotations", {}), keys.ANNOTATION_APPLIED: digest(body)}
    return {**body, "metadata": {**body["metadata"], "annotations": annotations}}
