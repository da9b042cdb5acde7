"""The one door through which observations enter: events, listings and the answers to our own writes."""

from collections.abc import Callable, Iterable, Iterator

from agenttype_api import v1alpha1

from agenttype_operator.informer import dependents
from agenttype_operator.informer.cache import Cache, Change
from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key, Kind, Raw
from agenttype_operator.reconcile.plan import Neighbours

#: What agents refer to.
_SHARED = (kinds.MODEL_BACKEND, kinds.LORA_ADAPTER, kinds.AGENT_BUDGET)


class Informer:
    """The cache, and who is told when it changes.

    Args:
        cache: holds what was seen.
        binding: key of the one binding of all gates.
    """

    def __init__(self, cache: Cache, binding: Key) -> None:
        self.cache = cache
        self.binding = binding
        self._forget: tuple[Callable[[str], None], ...] = ()
        self._listeners: list[Callable[[Key], None]] = []

    def tell(self, listener: Callable[[Key], None]) -> None:
        """Call a listener with every key that has to be looked at from now on."""
        self._listeners.append(listener)

    def on_gone(self, *forget: Callable[[str], None]) -> None:
        """Call these with the uid of every pod that is gone from now on."""
        self._forget = forget

    def seen(self, kind: Kind, raw: Raw, *, by: Key | None = None) -> None:
        """Take in an object; `by` is whoever wrote it and need not be told."""
        self._spread([self.cache.put(kind, raw)], by)

    def deleted(self, kind: Kind, raw: Raw) -> None:
        """Take in a deletion."""
        self._spread([self.cache.remove(kind, raw)], None)

    def listed(self, kind: Kind, items: Iterable[Raw], version: int) -> bool:
        """Take in a whole listing; return whether it held news."""
        changes = self.cache.replace(kind, items, version)
        self._spread(changes, None)
        return bool(changes)

    def look_at_everything(self) -> None:
        """Let everything that users wrote be looked at again."""
        for key in (*self.cache.keys(), self.binding):
            self.look_at(key)

    def look_at(self, key: Key) -> None:
        """Let one object be looked at."""
        for listener in self._listeners:
            listener(key)

    def agents(self) -> Iterator[v1alpha1.AgentType]:
        """All agents that parse."""
        return (model for model in self.cache.models(kinds.AGENT_TYPE) if isinstance(model, v1alpha1.AgentType))

    def around(self, namespace: str, *, agents: bool = True) -> Neighbours:
        """Everything of a namespace that parses; its agents, who may be many, only where they matter."""
        found: dict[str, v1alpha1.AgentType] = {}
        backends: dict[str, v1alpha1.ModelBackend] = {}
        adapters: dict[str, v1alpha1.LoraAdapter] = {}
        budgets: dict[str, v1alpha1.AgentBudget] = {}
        for kind in kinds.OWNERS if agents else _SHARED:
            for entry in self.cache.entries(kind, namespace):
                match entry.model:
                    case v1alpha1.AgentType():
                        found[entry.model.metadata.name] = entry.model
                    case v1alpha1.ModelBackend():
                        backends[entry.model.metadata.name] = entry.model
                    case v1alpha1.LoraAdapter():
                        adapters[entry.model.metadata.name] = entry.model
                    case v1alpha1.AgentBudget():
                        budgets[entry.model.metadata.name] = entry.model
        return Neighbours(found, backends, adapters, budgets)

    def _spread(self, changes: Iterable[Change | None], by: Key | None) -> None:
        for change in changes:
            if change is None:
                continue
            if change.new is None and change.key.kind == kinds.POD.name and change.old:
                for forget in self._forget:
                    forget(change.old.raw["metadata"]["uid"])
            for key in dependents.affected(change, self.cache, self.binding):
                if key != by:
                    self.look_at(key)
