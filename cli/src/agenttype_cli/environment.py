"""The environment of the command: what its container would have in a cluster, on top of the caller's own.

Pure. What a manifest takes from elsewhere (`valueFrom`) comes from the Secrets and ConfigMaps among the files; failing
that, from a variable of the same name in the caller's own environment.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from agenttype_api import environment, v1alpha1
from agenttype_api.environment import Endpoints

from agenttype_cli.errors import Missing
from agenttype_cli.manifests import Manifests

_PYTHONPATH: Final = "PYTHONPATH"
_REFERENCE: Final = re.compile(r"\$\$|\$\(([-._a-zA-Z][-._a-zA-Z0-9]*)\)")


def of_container(
    agent: v1alpha1.AgentType, manifests: Manifests, own: Mapping[str, str], endpoints: Endpoints, wrapper: str
) -> dict[str, str]:
    """Return what the agent's container adds to the caller's environment.

    Args:
        agent: whose container it is.
        manifests: where referred values are looked up.
        own: the caller's environment.
        endpoints: where the sidecar listens.
        wrapper: folder of the wrapper's Python code.

    Raises:
        Missing: a value is taken from something that is not there.
    """
    written = _written(agent, manifests, own)
    names = {entry["name"] for entry in written}
    # Lists such as PYTHONPATH are extended, not replaced: what the caller has counts as the user's own.
    inherited = [
        {"name": name, "value": own[name]} for name in environment.lists(agent) if name in own and name not in names
    ]
    return _expanded(environment.merge([*inherited, *written], agent, endpoints, wrapper), own)


def of_policy(agent: v1alpha1.AgentType, own: Mapping[str, str], endpoints: Endpoints) -> dict[str, str]:
    """Return only what sends the command's calls to the sidecar: no environment of the manifest, no wrapper."""
    routing = environment.routing(agent, endpoints)
    for name, (part, separator) in environment.lists(agent).items():
        if name != _PYTHONPATH:
            routing[name] = f"{part}{separator}{own[name]}" if own.get(name) else part
    return routing


def _written(agent: v1alpha1.AgentType, manifests: Manifests, own: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the container's own entries, each with a literal value, in their order."""
    [container] = [each for each in agent.spec.template["spec"]["containers"] if each["name"] == "agent"]
    found: list[dict[str, Any]] = []
    for source in container.get("envFrom") or ():
        found += _all_of(source, manifests)
    for entry in container.get("env") or ():
        value = entry.get("value", "")
        if "valueFrom" in entry:
            value = _referred(entry["valueFrom"], agent, manifests) or own.get(entry["name"])
            if value is None:
                raise Missing(
                    f"the manifest takes {entry['name']} from {_described(entry['valueFrom'])}, which the files do not "
                    f"have; add it to the files, or set {entry['name']} in your environment"
                )
        found.append({"name": entry["name"], "value": value})
    return found


def _all_of(source: dict[str, Any], manifests: Manifests) -> list[dict[str, Any]]:
    for member, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
        if member in source:
            values = manifests.values.get(f"{kind}/{source[member]['name']}")
            if values is None and not source[member].get("optional"):
                raise Missing(f"the manifest takes its environment from {kind} {source[member]['name']!r}; add it")
            prefix = source.get("prefix", "")
            return [{"name": prefix + key, "value": value} for key, value in (values or {}).items()]
    return []


def _referred(source: dict[str, Any], agent: v1alpha1.AgentType, manifests: Manifests) -> str | None:
    for member, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if member in source:
            return manifests.values.get(f"{kind}/{source[member]['name']}", {}).get(source[member]["key"])
    field = source.get("fieldRef", {}).get("fieldPath", "")
    return {"metadata.name": agent.metadata.name, "metadata.namespace": agent.metadata.namespace}.get(field)


def _described(source: dict[str, Any]) -> str:
    for member, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if member in source:
            return f"key {source[member]['key']!r} of {kind} {source[member]['name']!r}"
    return "the pod"


def _expanded(entries: list[dict[str, Any]], own: Mapping[str, str]) -> dict[str, str]:
    """Resolve `$(NAME)` as the kubelet does: names defined before, `$$` for a dollar, others left as they are."""
    found: dict[str, str] = {}

    def resolved(reference: re.Match[str]) -> str:
        if reference[1] is None:
            return "$"
        return found.get(reference[1], own.get(reference[1], reference[0]))

    for entry in entries:
        found[entry["name"]] = _REFERENCE.sub(resolved, str(entry.get("value", "")))
    return found
