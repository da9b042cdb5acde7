"""Holds the Lease: acquires it before any work, renews it, gives it back at the end."""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

from agenttype_runtime.json_log import Log

from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.kube.leader_election import DURATION, PERIOD, Election, Record
from agenttype_operator.settings import Settings

log = Log("leadership")


class LeadershipLost(Exception):  # noqa: N818 — the end of this process's work, not a fault
    """Another replica may lead now: all work ends, and this replica stands by."""


class Leadership:
    """One replica's hold on the Lease.

    Args:
        settings: name and namespace of the Lease, and who we are.
        now: time of day, for people who read the Lease.
    """

    def __init__(self, settings: Settings, now: Callable[[], dt.datetime]) -> None:
        self._settings = settings
        self._now = now
        self._clock = asyncio.get_running_loop().time
        self._election = Election(settings.identity)
        self.last_contact = self._clock()
        """When the Lease was last read or written, on the loop's clock: the probe of life."""

    def leads(self) -> bool:
        """Whether this replica may write: the fence of every write."""
        return self._election.leads(self._clock())

    async def acquire(self, client: KubeClient) -> None:
        """Wait until the Lease is ours."""
        while not await self._try(client):  # noqa: ASYNC110 — the other side is a server, not a task
            await asyncio.sleep(PERIOD)
        log.info("leading", identity=self._settings.identity)

    async def keep(self, client: KubeClient) -> None:
        """Renew until it fails.

        Raises:
            LeadershipLost: the renew deadline passed, or another replica has the Lease.
        """
        while True:
            await asyncio.sleep(PERIOD)
            if not await self._try(client) and not self.leads():
                raise LeadershipLost(f"{self._settings.identity} no longer holds the Lease")

    async def release(self, client: KubeClient) -> None:
        """Give the Lease back, so that a standby need not wait for it to expire."""
        leads = self.leads()
        self._election.lost()
        if not leads:
            return
        try:
            found = await client.get(kinds.LEASE, self._settings.lease_namespace, self._settings.lease_name)
            if found and _record(found).holder == self._settings.identity:
                spec = {**found["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                await client.write_lease({**found, "spec": spec})
        except errors.OperatorError as error:
            log.warning("Lease not released; it expires", error=str(error))

    async def _try(self, client: KubeClient) -> bool:
        """Read the Lease and take or renew it where we may; return whether it is ours now."""
        asked_at = self._clock()
        try:
            found = await client.get(kinds.LEASE, self._settings.lease_namespace, self._settings.lease_name)
            self.last_contact = self._clock()
            self._election.observe(_record(found) if found else None, asked_at)
            if not self._election.may_take(asked_at):
                self._election.lost()
                return False
            written = await client.write_lease(self._lease(found))
        except errors.Stale:
            return False  # another was faster
        except errors.OperatorError as error:
            log.warning("Lease not renewed", error=str(error))
            return False
        self._election.renewed(_record(written), asked_at)
        return True

    def _lease(self, found: Raw | None) -> Raw:
        """Write ourselves into the Lease as it was read; the server refuses if it changed since."""
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old: dict[str, Any] = (found or {}).get("spec") or {}
        ours = old.get("holderIdentity") == self._settings.identity
        metadata = {"name": self._settings.lease_name, "namespace": self._settings.lease_namespace}
        return {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.name,
            "metadata": found["metadata"] if found else metadata,
            "spec": {
                "holderIdentity": self._settings.identity,
                "leaseDurationSeconds": int(DURATION),
                "acquireTime": old.get("acquireTime", now) if ours else now,
                "renewTime": now,
                "leaseTransitions": old.get("leaseTransitions", 0) + (0 if ours else 1),
            },
        }


def _record(found: Raw) -> Record:
    spec = found.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        version=found["metadata"]["resourceVersion"],
        duration=float(spec.get("leaseDurationSeconds") or DURATION),
    )
