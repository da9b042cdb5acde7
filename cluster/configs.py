"""Pure: the configuration files of the components, from the plan. JSON is YAML, so one printer serves most."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.components import Plan


def audit_policy() -> str:
    """Record who did what to which object, for every request once, when its answer is complete."""
    return _json(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": "Metadata"}],
        }
    )


def control_plane(plan: Plan) -> dict[str, str]:
    """The files of a control plane, by name."""
    del plan
    return {"audit-policy.json": audit_policy()}


def _json(document: Any) -> str:
    return json.dumps(document, indent=1) + "\n"
