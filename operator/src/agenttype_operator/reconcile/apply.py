"""Makes what exists equal to what is planned: apply in order, then prune; what is not ours is never touched."""

from agenttype_operator.desired.metadata import Owner
from agenttype_operator.informer.cache import Entry
from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import drift, errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.reconcile.plan import Plan


class Applier:
    """Applies plans."""

    def __init__(self, client: KubeClient, informer: Informer) -> None:
        self._client = client
        self._informer = informer
        self._fields: dict[Key, tuple[str, str]] = {}
        """Per object that this process applied: its uid and the digest of our fields right after."""

    async def apply(self, owner: Owner, plan: Plan) -> None:
        """Apply a plan's objects in order, then delete the owner's objects that it lacks.

        The first failure ends it: what comes later needs what comes before, and a pod must never run under a
        ServiceAccount that is not its own.

        Raises:
            errors.OperatorError: an object could not be applied or deleted; the next try starts over.
        """
        by = Key(owner.kind, owner.metadata.namespace, owner.metadata.name)
        planned = {kinds.key_of(body["kind"], body) for body in plan.objects}
        for body in plan.objects:
            await self._apply_one(owner, body, by)
        for key in self._informer.cache.children(owner.metadata.uid):
            entry = self._informer.cache.get(key)
            if entry and key not in planned and key.kind in _PRUNED:
                self._fields.pop(key, None)
                await self._client.delete(kinds.BY_NAME[key.kind], entry.raw)

    async def _apply_one(self, owner: Owner, body: Raw, by: Key) -> None:
        kind = kinds.BY_NAME[body["kind"]]
        key = kinds.key_of(kind.name, body)
        entry = self._informer.cache.get(key)
        # What we do not see may still exist: without our label, or made a moment ago.
        live = entry.raw if entry else await self._client.get(kind, key.namespace, key.name)
        if live is None:
            sent = body
        else:
            _check_owner(owner, live, key)
            if entry and self._intact(key, entry, body):
                return
            sent = {**body, "metadata": {**body["metadata"], "uid": live["metadata"]["uid"]}}
        try:
            found = await self._client.apply(sent)
        except errors.OperatorError as error:
            raise type(error)(f'{key.kind} "{key.name}": {error}') from error
        self._informer.observe(kind, found, by=by)
        if after := self._informer.cache.get(key):
            self._fields[key] = (after.raw["metadata"]["uid"], after.fields)

    def _intact(self, key: Key, entry: Entry, body: Raw) -> bool:
        now = (entry.raw["metadata"]["uid"], entry.fields)
        if not drift.sealed_as(entry.raw, body):
            return False
        if self._fields.get(key) != now and not drift.covers(entry.whole(), body):
            return False
        self._fields[key] = now
        return True


_PRUNED = {kind.name for kind in kinds.CHILDREN}


def _check_owner(owner: Owner, live: Raw, key: Key) -> None:
    """Raise unless a live object is controlled by this very owner."""
    controller = kinds.owner_of(live)
    if controller and controller["uid"] == owner.metadata.uid:
        return
    if controller and (controller["kind"], controller["name"]) == (owner.kind, owner.metadata.name):
        raise errors.Terminating(
            f'{key.kind} "{key.name}" of a deleted {owner.kind} of this name is still being removed'
        )
    raise errors.NameTaken(
        f'{key.kind} "{key.name}" exists and is not ours; it was left alone: delete it or rename this {owner.kind}'
    )


def reportable(error: errors.OperatorError) -> errors.OperatorError:
    """Return a failure that the status shall tell; raise one that passes by itself or keeps us from telling."""
    if isinstance(error, errors.Stale | errors.Unavailable | errors.NotLeading):
        raise error
    return error
