"""The cache: what the cluster was last seen to hold, from watch events, listings and answers to our own writes.

It never goes back: an object replaces another only with a newer resource version, and an object that was seen to be
deleted does not return with an answer that was late. It knows nothing of the network.
"""

import collections
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import pydantic
from agenttype_api import keys, v1alpha1

from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key, Kind, Raw

Model = v1alpha1.Kind
MODELS: dict[str, type[Model]] = {model.__name__: model for model in v1alpha1.KINDS}
_At = TypeVar("_At")
#: Deletions remembered against answers that arrive late.
TOMBSTONES = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One object."""

    raw: Raw
    """The object without managedFields; of children and pods only what is read often."""
    packed: bytes = b""
    """JSON of what a child has besides: as objects it would take three times the memory."""
    fields: str = ""
    """Digest of the fields that are ours, as the server records them: it changes when another takes one away."""
    model: Model | None = None
    """A kind of ours, parsed; None where it does not parse or is not ours."""
    error: str = ""
    """Why it does not parse."""

    def whole(self) -> Raw:
        """Return the object with everything that it had."""
        return {**self.raw, **json.loads(self.packed)} if self.packed else self.raw


@dataclass(frozen=True, slots=True)
class Change:
    """What one observation changed; `old` is None for a new object, `new` for a deleted one."""

    key: Key
    old: Entry | None
    new: Entry | None


class Cache:
    """All objects that the operator watches."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, dict[str, Entry]]] = {kind.name: {} for kind in kinds.WATCHED}
        """Kind → namespace → name → object."""
        self._children: dict[str, set[Key]] = {}
        self._pods: dict[Key, set[Key]] = {}
        self._buried: collections.OrderedDict[str, int] = collections.OrderedDict()

    def put(self, kind: Kind, raw: Raw) -> Change | None:
        """Take in an object as seen; None when that is no news."""
        key = kinds.key_of(kind.name, raw)
        old = self.get(key)
        known = kinds.version_of(old.raw) if old else self._buried.get(raw["metadata"].get("uid", ""), -1)
        if kinds.version_of(raw) <= known:
            return None
        new = _entry(kind, raw)
        if old:
            self._unlink(key, old)
        self._entries[kind.name].setdefault(key.namespace, {})[key.name] = new
        self._link(key, new)
        return Change(key, old, new)

    def remove(self, kind: Kind, raw: Raw) -> Change | None:
        """Take in that an object was deleted; None when that is no news."""
        key = kinds.key_of(kind.name, raw)
        uid = raw["metadata"].get("uid", "")
        # Losing our label looks like a deletion too; what gets it back comes with a newer version.
        self._buried[uid] = kinds.version_of(raw)
        if len(self._buried) > TOMBSTONES:
            self._buried.popitem(last=False)
        old = self.get(key)
        if old is None or old.raw["metadata"].get("uid", "") != uid:
            return None
        self._unlink(key, old)
        within = self._entries[kind.name][key.namespace]
        del within[key.name]
        if not within:
            del self._entries[kind.name][key.namespace]
        return Change(key, old, None)

    def replace(self, kind: Kind, items: Iterable[Raw], version: int) -> list[Change]:
        """Take in a whole listing, made at a resource version: what it lacks and what is not newer is gone."""
        found = list(items)
        there = {kinds.key_of(kind.name, raw) for raw in found}
        gone = [
            entry.raw for key, entry in self._all(kind) if key not in there and kinds.version_of(entry.raw) <= version
        ]
        changes = [self.remove(kind, raw) for raw in gone] + [self.put(kind, raw) for raw in found]
        return [change for change in changes if change]

    def get(self, key: Key) -> Entry | None:
        """The object of a key."""
        return self._entries[key.kind].get(key.namespace, {}).get(key.name)

    def versions(self, kind: Kind) -> dict[tuple[str, str], int]:
        """Resource versions of a kind by (namespace, name)."""
        return {key[1:]: kinds.version_of(entry.raw) for key, entry in self._all(kind)}

    def keys(self) -> Iterator[Key]:
        """Keys of everything that users wrote."""
        for kind in kinds.OWNERS:
            for key, _ in self._all(kind):
                yield key

    def entries(self, kind: Kind, namespace: str) -> Iterator[Entry]:
        """Objects of a kind in a namespace, by name."""
        within = self._entries[kind.name].get(namespace, {})
        for name in sorted(within):
            yield within[name]

    def models(self, kind: Kind) -> Iterator[Model]:
        """Everything of a kind of ours that parses, in all namespaces."""
        return (entry.model for _, entry in self._all(kind) if entry.model)

    def children(self, uid: str) -> list[Key]:
        """Keys of the objects that the object of a uid controls."""
        return sorted(self._children.get(uid, ()))

    def pods(self, owner: Key) -> list[Raw]:
        """Pods of an AgentType or ModelBackend, by name."""
        found = (self.get(key) for key in sorted(self._pods.get(owner, ())))
        return [entry.raw for entry in found if entry]

    def _all(self, kind: Kind) -> Iterator[tuple[Key, Entry]]:
        for namespace, within in self._entries[kind.name].items():
            for name, entry in within.items():
                yield Key(kind.name, namespace, name), entry

    def _link(self, key: Key, entry: Entry) -> None:
        if owner := kinds.owner_of(entry.raw):
            self._children.setdefault(owner["uid"], set()).add(key)
        if key.kind == kinds.POD.name and (user := kinds.user_of(entry.raw)):
            self._pods.setdefault(user, set()).add(key)

    def _unlink(self, key: Key, entry: Entry) -> None:
        if owner := kinds.owner_of(entry.raw):
            _drop(self._children, owner["uid"], key)
        if key.kind == kinds.POD.name and (user := kinds.user_of(entry.raw)):
            _drop(self._pods, user, key)


def _drop(index: dict[_At, set[Key]], at: _At, key: Key) -> None:
    index[at].discard(key)
    if not index[at]:
        del index[at]


_READ_OFTEN = ("apiVersion", "kind", "metadata", "status")


def _entry(kind: Kind, raw: Raw) -> Entry:
    """Keep what we read, and no more: managedFields and pod specs are most of an object's bytes."""
    metadata = {name: value for name, value in raw["metadata"].items() if name != "managedFields"}
    kept = {**raw, "metadata": metadata}
    if kind is kinds.POD:
        return Entry({name: kept[name] for name in _READ_OFTEN if name in kept})
    if kind.name not in MODELS:
        rest = {name: value for name, value in kept.items() if name not in _READ_OFTEN}
        often = {name: kept[name] for name in _READ_OFTEN if name in kept}
        return Entry(often, json.dumps(rest).encode(), _fields_digest(raw))
    try:
        return Entry(kept, model=MODELS[kind.name].model_validate(kept))
    except pydantic.ValidationError as error:
        return Entry(kept, error=_explain(error))


def _fields_digest(raw: Raw) -> str:
    """Digest of the managedFields entry that server-side apply keeps for us; empty where there is none."""
    for entry in raw["metadata"].get("managedFields") or ():
        if entry.get("manager") == keys.FIELD_MANAGER and entry.get("operation") == "Apply":
            text = json.dumps(entry.get("fieldsV1"), sort_keys=True)
            return hashlib.sha256(text.encode()).hexdigest()[:16]
    return ""


def _explain(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
