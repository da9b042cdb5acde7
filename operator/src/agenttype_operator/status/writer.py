"""Writes a status, once per reconcile and only when it changed, and an event for each condition that is news."""

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.status import events
from agenttype_operator.status import findings as conditions
from agenttype_operator.status.findings import Finding

log = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]


class StatusWriter:
    """Writes statuses and events.

    Args:
        cluster: where they go.
        world: learns of the written status.
        now: time of day.
        instance: name of this replica, for events.
    """

    def __init__(self, cluster: KubeClient, world: Informer, now: Clock, instance: str) -> None:
        self._cluster = cluster
        self._world = world
        self._now = now
        self._instance = instance

    async def report(self, raw: Raw, findings: Sequence[Finding], fields: dict[str, Any]) -> None:
        """Bring an object's status to what was found.

        Args:
            raw: the object as it was looked at.
            findings: its conditions but Ready, in order.
            fields: the status's other members.
        """
        before: dict[str, Any] = raw.get("status") or {}
        findings = conditions.with_ready(findings)
        generation = raw["metadata"].get("generation", 0)
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        old = before.get("conditions") or []
        status = {
            "observedGeneration": generation,
            **fields,
            "conditions": conditions.merged(old, findings, generation, now),
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
            self._world.seen(kind, await self._cluster.apply_status(body), by=key)
        except errors.Missing:
            return  # deleted meanwhile: nobody is left to be told
        for finding in conditions.news(old, findings):
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
            await self._cluster.create(kinds.EVENT, body)
        except errors.OperatorError as error:
            log.warning("event not posted", extra={"object": name, "error": str(error)})
