"""Writes a status, once per reconcile and only when it changed, and an event for each condition that is news."""

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from agenttype_runtime.json_log import Log

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.status import condition_drafts, events
from agenttype_operator.status.condition_drafts import Finding

log = Log("writer")

Clock = Callable[[], dt.datetime]


class StatusWriter:
    """Writes statuses and events.

    Args:
        client: sends them to the API server.
        informer: learns of the written status.
        now: time of day.
        instance: name of this replica, for events.
    """

    def __init__(self, client: KubeClient, informer: Informer, now: Clock, instance: str) -> None:
        self._client = client
        self._informer = informer
        self._now = now
        self._instance = instance

    async def write(self, raw: Raw, found: Sequence[Finding], fields: dict[str, Any]) -> None:
        """Bring an object's status to what was found.

        Args:
            raw: the object as it was looked at.
            found: its conditions but Ready, in order.
            fields: the status's other members.
        """
        before: dict[str, Any] = raw.get("status") or {}
        found = condition_drafts.with_ready(found)
        generation = raw["metadata"].get("generation", 0)
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        old = before.get("conditions") or []
        status = {
            "observedGeneration": generation,
            **fields,
            "conditions": condition_drafts.as_conditions(old, found, generation, now),
        }
        if status == before:
            return
        key = kinds.key_of(raw["kind"], raw)
        kind = kinds.BY_NAME[raw["kind"]]
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": raw["metadata"]["uid"]},
            "status": status,
        }
        try:
            self._informer.observe(kind, await self._client.apply_status(body), by=key)
        except errors.Missing:
            return  # it was deleted meanwhile
        for finding in condition_drafts.worth_an_event(old, found):
            await self._event(raw, finding)

    async def _event(self, raw: Raw, finding: Finding) -> None:
        """Post an event; one that cannot be posted is only logged, for the status already tells it."""
        name = raw["metadata"]["name"]
        body = {
            **events.event(raw, f"{name}.{uuid.uuid4().hex[:16]}", self._now(), self._instance),
            "type": "Normal" if finding.holds else "Warning",
            "reason": str(finding.reason),
            "action": str(finding.type),
            "note": events.note(finding.message),
        }
        try:
            await self._client.create(kinds.EVENT, body)
        except errors.OperatorError as error:
            log.warning("event not posted", object=name, error=str(error))
