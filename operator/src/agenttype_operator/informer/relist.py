"""Fills the cache at start, and compares it with the cluster from time to time, so that a lost event heals.

kopf does not tell deletions that happened while a watch was broken, and a watch may stall unseen. The comparison
reads names and versions only; a kind that differs is listed again.
"""

import asyncio
import random
from collections.abc import Sequence

from agenttype_runtime.json_log import Log

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Kind
from agenttype_operator.metrics import Metrics

log = Log("relist")

#: How long a difference may be an event that is merely on its way.
_GRACE = 2.0


class Relister:
    """Fills the cache at start and repairs it afterwards.

    Args:
        client: lists the cluster.
        informer: takes in what was listed.
        namespaces: those that are served; empty: all.
        metrics: where repaired kinds are counted.
    """

    def __init__(self, client: KubeClient, informer: Informer, namespaces: Sequence[str], metrics: Metrics) -> None:
        self._client = client
        self._informer = informer
        self._namespaces = tuple(namespaces) or ("",)
        self._metrics = metrics

    async def list_all(self) -> None:
        """List every kind; wait while that fails, for without the whole picture nothing may be pruned."""
        for kind in kinds.WATCHED:
            delay = 0.5
            while True:
                try:
                    await self._list(kind)
                    break
                except errors.OperatorError as error:
                    log.warning("cannot list", kind=kind.name, error=str(error))
                    await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 — jitter
                    delay = min(30.0, delay * 2)

    async def run(self, period: float) -> None:
        """Compare for ever."""
        while True:
            await asyncio.sleep(period * random.uniform(0.9, 1.1))  # noqa: S311 — jitter
            for kind in kinds.WATCHED:
                try:
                    await self.compare(kind)
                except errors.OperatorError as error:
                    log.warning("cannot compare", kind=kind.name, error=str(error))

    async def compare(self, kind: Kind) -> None:
        """Compare a kind, and list it again if it still differs after a moment."""
        if await self._differs(kind):
            await asyncio.sleep(_GRACE)
            if await self._differs(kind) and await self._list(kind):
                self._metrics.relists.inc()
                log.warning("events were lost; listed again", kind=kind.name)

    async def _differs(self, kind: Kind) -> bool:
        live: dict[tuple[str, str], int] = {}
        for namespace in self._namespaces:
            listing = await self._client.list_metadata(kind, namespace)
            live |= {kinds.key_of(kind.name, raw)[1:]: kinds.version_of(raw) for raw in listing.items}
        have = self._informer.cache.versions(kind)
        return live.keys() != have.keys() or any(version > have[name] for name, version in live.items())

    async def _list(self, kind: Kind) -> bool:
        listings = [await self._client.list(kind, namespace) for namespace in self._namespaces]
        items = [raw for listing in listings for raw in listing.items]
        return self._informer.observe_list(kind, items, min(listing.version for listing in listings))
