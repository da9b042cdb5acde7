"""Posts violations as Kubernetes Events on their AgentType."""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from typing import Final

from agenttype_api.sidecar_report import PolicyReport

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.status import events
from agenttype_operator.status.violation_correlator import Series, SeriesKey, ViolationCorrelator

log = logging.getLogger(__name__)

REASON: Final = "PolicyViolation"
#: How long a post that failed waits.
_RETRY_SECONDS: Final = 5.0


class ViolationRecorder:
    """Counts and posts.

    Args:
        cluster: where Events go.
        world: knows the agents.
        now: time of day.
        instance: name of this replica, for the Events.
    """

    def __init__(self, cluster: KubeClient, world: Informer, now: Callable[[], dt.datetime], instance: str) -> None:
        self._cluster = cluster
        self._world = world
        self._now = now
        self._instance = instance
        self._tally = ViolationCorrelator()
        self._wake = asyncio.Event()

    def take(self, pod: Raw, report: PolicyReport) -> None:
        """Take in what a pod's sidecar says."""
        self._tally.take(pod, report, self._now().timestamp())
        self._wake.set()

    def forget(self, uid: str) -> None:
        """Forget a pod that is gone."""
        self._tally.forget(uid)

    async def run(self) -> None:
        """Post for ever."""
        while True:
            self._wake.clear()
            failed = not await self._post_due()
            due = self._tally.next_due()
            wait = None if due is None else max(0.0, due - self._now().timestamp())
            if failed:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _post_due(self) -> bool:
        """Post what is due; return whether all of it could be."""
        for which, group in self._tally.due(self._now().timestamp()):
            try:
                if group.posted:
                    await self._grow(which, group)
                else:
                    await self._post(which, group)
            except (errors.Missing, errors.Refused) as error:  # the namespace or the Event goes, or may not be
                log.warning("violation not posted", extra={"pod": group.name, "error": str(error)})
                self._tally.drop(which)
            except errors.OperatorError as error:
                log.warning("violation not posted yet", extra={"pod": group.name, "error": str(error)})
                return False
        return True

    async def _post(self, which: SeriesKey, group: Series) -> None:
        entry = self._world.cache.get(group.owner)
        if entry is None:
            self._tally.drop(which)
            return
        body = {
            **events.event(entry.raw, which.name(group.owner.name), self._now(), self._instance),
            "type": "Warning",
            "reason": REASON,
            "action": str(group.last.action),
            "note": events.note(group.note()),
            "related": events.reference({"apiVersion": "v1", "kind": "Pod", **group.pod}),
        }
        try:
            await self._cluster.create(kinds.EVENT, body)
        except errors.Stale:  # it exists: an operator before us posted it, and counted it if the minute was over
            if which.over(self._now().timestamp()):
                self._tally.drop(which)
                return
        group.posted = 1  # an Event stands for one; a series tells of more

    async def _grow(self, which: SeriesKey, group: Series) -> None:
        """Tell how many there were."""
        count, last = group.count, dt.datetime.fromtimestamp(group.at, dt.UTC)
        series = {"count": count, "lastObservedTime": events.moment(last)}
        name = which.name(group.owner.name)
        await self._cluster.merge(kinds.EVENT, group.owner.namespace, name, {"series": series})
        group.posted = count
