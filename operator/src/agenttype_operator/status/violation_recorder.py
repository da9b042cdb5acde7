"""Records violations as Kubernetes Events of their AgentType."""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Final

from agenttype_api.sidecar_report import PolicyReport
from agenttype_runtime.json_log import Log

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.status import events
from agenttype_operator.status.violation_correlator import Series, SeriesKey, ViolationCorrelator

log = Log("violation_recorder")

REASON: Final = "PolicyViolation"
#: How long a post that failed waits.
_RETRY_SECONDS: Final = 5.0


class ViolationRecorder:
    """Counts violations and posts their Events.

    Args:
        client: sends Events to the API server.
        informer: knows the agents.
        now: time of day.
        instance: name of this replica, for the Events.
    """

    def __init__(self, client: KubeClient, informer: Informer, now: Callable[[], dt.datetime], instance: str) -> None:
        self._client = client
        self._informer = informer
        self._now = now
        self._instance = instance
        self._correlator = ViolationCorrelator()
        self._wake = asyncio.Event()

    def take(self, pod: Raw, report: PolicyReport) -> None:
        """Take in what a pod's sidecar says."""
        self._correlator.take(pod, report, self._now().timestamp())
        self._wake.set()

    def forget(self, uid: str) -> None:
        """Forget a pod that is gone."""
        self._correlator.forget(uid)

    async def run(self) -> None:
        """Post for ever."""
        while True:
            self._wake.clear()
            failed = not await self._post_due()
            due = self._correlator.next_due()
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
        for key, series in self._correlator.due(self._now().timestamp()):
            try:
                if series.posted:
                    await self._grow(key, series)
                else:
                    await self._post(key, series)
            except (errors.Missing, errors.Refused) as error:  # the namespace or the Event goes, or may not be
                log.warning("violation not posted", pod=series.name, error=str(error))
                self._correlator.drop(key)
            except errors.OperatorError as error:
                log.warning("violation not posted yet", pod=series.name, error=str(error))
                return False
        return True

    async def _post(self, key: SeriesKey, series: Series) -> None:
        entry = self._informer.cache.get(series.owner)
        if entry is None:
            self._correlator.drop(key)
            return
        body = {
            **events.event(entry.raw, key.name(series.owner.name), self._now(), self._instance),
            "type": "Warning",
            "reason": REASON,
            "action": str(series.last.action),
            "note": events.note(series.note()),
            "related": events.reference({"apiVersion": "v1", "kind": "Pod", **series.pod}),
        }
        try:
            await self._client.create(kinds.EVENT, body)
        except errors.Stale:  # it exists: an operator before us posted it, and counted it if the minute was over
            if key.over(self._now().timestamp()):
                self._correlator.drop(key)
                return
        series.posted = 1  # an Event stands for one; a series tells of more

    async def _grow(self, key: SeriesKey, series: Series) -> None:
        """Tell how many there were."""
        count, last = series.count, dt.datetime.fromtimestamp(series.at, dt.UTC)
        body = {"series": {"count": count, "lastObservedTime": events.moment(last)}}
        await self._client.merge(kinds.EVENT, series.owner.namespace, key.name(series.owner.name), body)
        series.posted = count
