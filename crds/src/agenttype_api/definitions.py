"""The CustomResourceDefinitions: what stands around the schemas of the kinds."""

from typing import Any

from agenttype_api import keys, v1alpha1
from agenttype_api.schema import NAME_RULE
from agenttype_api.structural import structural

Column = tuple[str, str, str, int]
_READY: Column = ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0)
_REASON: Column = ("Reason", "string", '.status.conditions[?(@.type=="Ready")].message', 1)
_AGE: Column = ("Age", "date", ".metadata.creationTimestamp", 0)

_SHORT_NAMES = {"AgentType": "at", "ModelBackend": "mb", "LoraAdapter": "la", "AgentBudget": "ab"}
_COLUMNS: dict[str, list[Column]] = {
    "AgentType": [
        _READY,
        ("Model", "string", ".spec.models[0].backendRef.name", 0),
        ("Adapter", "string", ".spec.models[0].adapterRef.name", 0),
        ("Budget", "string", ".spec.budget.limits[0].max", 0),
        _AGE,
        _REASON,
        ("Image", "string", '.spec.template.spec.containers[?(@.name=="agent")].image', 1),
        ("Policy", "string", ".status.policyHash", 1),
    ],
    "ModelBackend": [
        _READY,
        ("Model", "string", ".spec.vllm.model", 0),
        ("External", "string", ".spec.external.url", 0),
        _AGE,
        _REASON,
        ("Policy", "string", ".status.policyHash", 1),
    ],
    "LoraAdapter": [
        _READY,
        ("Backend", "string", ".spec.backendRef.name", 0),
        ("Served", "string", ".status.servedName", 0),
        _AGE,
        _REASON,
    ],
    "AgentBudget": [
        _READY,
        ("Agents", "integer", ".status.agentTypes", 0),
        ("Limit", "string", ".spec.limits[0].max", 0),
        ("Resource", "string", ".spec.limits[0].resource", 0),
        ("Window", "string", ".spec.limits[0].window", 0),
        _AGE,
        _REASON,
    ],
}


def custom_resource_definitions() -> list[dict[str, Any]]:
    """Return the definition of every kind."""
    return [_definition(kind) for kind in v1alpha1.KINDS]


def spec_schema(kind: type[Any]) -> dict[str, Any]:
    """Return the structural schema of a kind's spec."""
    return structural(kind.model_fields["spec"].annotation)


def _definition(kind: type[v1alpha1.Kind]) -> dict[str, Any]:
    name = kind.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{keys.GROUP}"},
        "spec": {
            "group": keys.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.lower(),
                "shortNames": [_SHORT_NAMES[name]],
                "categories": ["agents"],
            },
            "versions": [
                {
                    "name": keys.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": _subresources(kind),
                    "additionalPrinterColumns": [
                        {"name": title, "type": type_, "jsonPath": path, "priority": priority}
                        for title, type_, path, priority in _COLUMNS[name]
                    ],
                    "schema": {"openAPIV3Schema": _schema(kind)},
                }
            ],
        },
    }


def _subresources(kind: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"status": {}}
    if kind is v1alpha1.AgentType:
        found["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    return found


def _schema(kind: type[Any]) -> dict[str, Any]:
    fields = kind.model_fields
    spec = spec_schema(kind)
    status = structural(fields["status"].annotation)
    return {
        "description": " ".join((kind.__doc__ or "").split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**spec, "description": fields["spec"].description},
            "status": {**status, "description": fields["status"].description},
        },
        "x-kubernetes-validations": [NAME_RULE],
    }
