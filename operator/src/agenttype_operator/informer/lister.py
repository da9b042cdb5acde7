"""Typed objects from the cache: what a plan can refer to, by namespace."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from agenttype_api import v1alpha1

from agenttype_operator.informer.cache import Cache
from agenttype_operator.kube import kinds

#: What agents refer to.
_REFERRED: tuple[kinds.Kind, ...] = (kinds.MODEL_BACKEND, kinds.LORA_ADAPTER, kinds.AGENT_BUDGET)


@dataclass(frozen=True)
class Neighbours:
    """Everything of one namespace that parses, by name."""

    agents: dict[str, v1alpha1.AgentType]
    backends: dict[str, v1alpha1.ModelBackend]
    adapters: dict[str, v1alpha1.LoraAdapter]
    budgets: dict[str, v1alpha1.AgentBudget] = field(default_factory=dict)


def neighbours(cache: Cache, namespace: str, *, agents: bool = True) -> Neighbours:
    """Return everything of a namespace that parses; leave out the agents, of which there may be many, on request."""
    found = Neighbours({}, {}, {})
    for kind in kinds.OWNERS if agents else _REFERRED:
        for entry in cache.entries(kind, namespace):
            match entry.model:
                case v1alpha1.AgentType():
                    found.agents[entry.model.metadata.name] = entry.model
                case v1alpha1.ModelBackend():
                    found.backends[entry.model.metadata.name] = entry.model
                case v1alpha1.LoraAdapter():
                    found.adapters[entry.model.metadata.name] = entry.model
                case v1alpha1.AgentBudget():
                    found.budgets[entry.model.metadata.name] = entry.model
    return found


def agent_types(cache: Cache) -> Iterator[v1alpha1.AgentType]:
    """Yield all AgentTypes that parse, of all namespaces."""
    return (model for model in cache.models(kinds.AGENT_TYPE) if isinstance(model, v1alpha1.AgentType))


def model_backends(cache: Cache) -> Iterator[v1alpha1.ModelBackend]:
    """Yield all ModelBackends that parse, of all namespaces."""
    return (model for model in cache.models(kinds.MODEL_BACKEND) if isinstance(model, v1alpha1.ModelBackend))
