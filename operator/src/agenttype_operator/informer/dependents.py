"""Which objects have to be reconciled when another changed: pure."""

from collections.abc import Iterator

from agenttype_api import compile as compiler
from agenttype_api import v1alpha1

from agenttype_operator.informer.cache import Cache, Change, Entry
from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key


def affected(change: Change, cache: Cache, binding: Key) -> set[Key]:
    """Return the keys of everything whose plan or status may depend on what changed.

    A change of status alone concerns only what reads that status: agents read their adapters', and adapters whether
    their backend's pods are ready.

    Args:
        change: what changed.
        cache: everything else.
        binding: key of the one binding of all gates.
    """
    kind = change.key.kind
    if kind in {kinds.POD.name, *(child.name for child in kinds.CHILDREN)}:
        owners = set(_owners(change))
        return owners | (_adapters_of(owners, cache) if kind == kinds.POD.name else set())
    found: set[Key] = set()
    spec = _spec_changed(change)
    if spec:
        found.add(change.key)
    namespace = change.key.namespace
    if kind == kinds.AGENT_TYPE.name and spec:
        found |= {Key(kinds.MODEL_BACKEND.name, namespace, name) for name in _backends_used(change)}
        found |= {Key(kinds.AGENT_BUDGET.name, namespace, name) for name in _budgets_used(change)}
    elif kind == kinds.MODEL_BACKEND.name and spec:
        found |= {binding, *_users(cache, namespace, backend=change.key.name)}
    elif kind == kinds.LORA_ADAPTER.name:
        found |= set(_users(cache, namespace, adapter=change.key.name))
        if spec:
            found |= {Key(kinds.MODEL_BACKEND.name, namespace, name) for name in _backend_of(change)}
    elif kind == kinds.AGENT_BUDGET.name and spec:
        found |= set(_users(cache, namespace, budget=change.key.name))
    return {key for key in found if key == binding or cache.get(key)}


def _owners(change: Change) -> Iterator[Key]:
    for entry in (change.old, change.new):
        if entry and (key := kinds.user_of(entry.raw)):
            yield key


def _adapters_of(owners: set[Key], cache: Cache) -> set[Key]:
    """Return the adapters of those owners that are backends: what a pod has loaded counts once the pod is ready."""
    return {
        user
        for owner in owners
        if owner.kind == kinds.MODEL_BACKEND.name
        for user in _users(cache, owner.namespace, backend=owner.name)
        if user.kind == kinds.LORA_ADAPTER.name
    }


def _spec_changed(change: Change) -> bool:
    if change.old is None or change.new is None:
        return True
    before, after = change.old.raw["metadata"], change.new.raw["metadata"]
    return any(before.get(name) != after.get(name) for name in ("uid", "generation", "deletionTimestamp"))


def _backends_used(change: Change) -> set[str]:
    return {
        step.backend_ref.name
        for entry in _both(change)
        if isinstance(entry.model, v1alpha1.AgentType)
        for step in compiler.steps(entry.model)
    }


def _budgets_used(change: Change) -> set[str]:
    return {
        entry.model.spec.budget.budget_ref.name
        for entry in _both(change)
        if isinstance(entry.model, v1alpha1.AgentType) and entry.model.spec.budget.budget_ref
    }


def _backend_of(change: Change) -> set[str]:
    return {
        entry.model.spec.backend_ref.name for entry in _both(change) if isinstance(entry.model, v1alpha1.LoraAdapter)
    }


def _both(change: Change) -> list[Entry]:
    return [entry for entry in (change.old, change.new) if entry]


def _users(cache: Cache, namespace: str, backend: str = "", adapter: str = "", budget: str = "") -> Iterator[Key]:
    """Agents and adapters that refer to a backend, or agents that refer to an adapter or a budget."""
    for entry in cache.entries(kinds.AGENT_TYPE, namespace):
        if isinstance(entry.model, v1alpha1.AgentType) and (
            (budget and (shared := entry.model.spec.budget.budget_ref) and shared.name == budget)
            or any(
                step.backend_ref.name == backend or (step.adapter_ref and step.adapter_ref.name == adapter)
                for step in compiler.steps(entry.model)
            )
        ):
            yield kinds.key_of(kinds.AGENT_TYPE.name, entry.raw)
    if not backend:
        return
    for entry in cache.entries(kinds.LORA_ADAPTER, namespace):
        if isinstance(entry.model, v1alpha1.LoraAdapter) and entry.model.spec.backend_ref.name == backend:
            yield kinds.key_of(kinds.LORA_ADAPTER.name, entry.raw)
