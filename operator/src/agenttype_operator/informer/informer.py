"""The informer: every observation enters the cache here, and enqueues the objects that depend on it.

Observations are watch events, listings and the answers to our own writes.
"""

from collections.abc import Callable, Iterable

from agenttype_operator.informer import dependents
from agenttype_operator.informer.cache import Cache, Change
from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key, Kind, Raw


class Informer:
    """The cache, and the event handlers that are called when it changes.

    Args:
        cache: holds what was seen.
        binding: key of the one binding of all gates.
    """

    def __init__(self, cache: Cache, binding: Key) -> None:
        self.cache = cache
        self.binding = binding
        self._pod_handlers: tuple[Callable[[str], None], ...] = ()
        self._handlers: list[Callable[[Key], None]] = []

    def add_event_handler(self, handler: Callable[[Key], None]) -> None:
        """Call a handler with every key that has to be reconciled from now on."""
        self._handlers.append(handler)

    def on_pod_deleted(self, *handlers: Callable[[str], None]) -> None:
        """Call these with the uid of every pod that is gone from now on."""
        self._pod_handlers = handlers

    def observe(self, kind: Kind, raw: Raw, *, by: Key | None = None) -> None:
        """Take in an object; `by` is the object whose reconcile wrote it and need not hear of it."""
        self._changed([self.cache.put(kind, raw)], by)

    def observe_deletion(self, kind: Kind, raw: Raw) -> None:
        """Take in a deletion."""
        self._changed([self.cache.remove(kind, raw)], None)

    def observe_list(self, kind: Kind, items: Iterable[Raw], version: int) -> bool:
        """Take in a whole listing; return whether it held news."""
        changes = self.cache.replace(kind, items, version)
        self._changed(changes, None)
        return bool(changes)

    def enqueue_all(self) -> None:
        """Let everything that users wrote be reconciled."""
        for key in (*self.cache.keys(), self.binding):
            self.enqueue(key)

    def enqueue_kind(self, kind: str) -> None:
        """Let every object of a kind that users write be reconciled."""
        for key in filter(lambda key: key.kind == kind, self.cache.keys()):
            self.enqueue(key)

    def enqueue(self, key: Key) -> None:
        """Let one object be reconciled."""
        for handler in self._handlers:
            handler(key)

    def _changed(self, changes: Iterable[Change | None], by: Key | None) -> None:
        for change in changes:
            if change is None:
                continue
            if change.new is None and change.key.kind == kinds.POD.name and change.old:
                for handler in self._pod_handlers:
                    handler(change.old.raw["metadata"]["uid"])
            for key in dependents.affected(change, self.cache, self.binding):
                if key != by:
                    self.enqueue(key)
