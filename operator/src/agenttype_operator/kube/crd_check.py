"""Compares the served CustomResourceDefinitions with the ones this operator was built with, and says what differs.

Helm installs a chart's `crds/` once and never upgrades them. Under an older definition the API server drops new fields
of a spec without a word, so users must hear of it.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from agenttype_api import definitions
from agenttype_runtime.json_log import Log

from agenttype_operator.kube import crd_drift, errors, kinds
from agenttype_operator.kube.client import KubeClient

log = Log("crd_check")

#: Helm owns the fields that it installed, hence --force-conflicts.
COMMAND: Final = "kubectl apply --server-side --force-conflicts -f charts/agenttype/crds"


class CrdCheck:
    """Knows which kinds have an outdated definition.

    Args:
        client: reads the definitions.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._ours = definitions.custom_resource_definitions()
        self._outdated: dict[str, str] = {}

    def __len__(self) -> int:
        """Kinds whose definition is outdated."""
        return sum(map(bool, self._outdated.values()))

    def outdated(self, kind: str) -> str:
        """Say what is wrong with the definition of a kind and what to do; empty when it is current or not known yet."""
        return self._outdated.get(kind, "")

    async def check(self) -> list[str]:
        """Compare all definitions; return the kinds about which something else is said than before.

        What cannot be read is logged and stays as it was: a check that fails must not stop the work.
        """
        changed = []
        for ours in self._ours:
            kind, name = ours["spec"]["names"]["kind"], ours["metadata"]["name"]
            try:
                served = await self._client.get(kinds.CRD, "", name)
            except errors.OperatorError as error:
                log.warning("CRD not read", crd=name, error=str(error))
                continue
            differs = crd_drift.difference(served, ours) if served else "everything: it is not installed"
            message = _message(name, differs) if differs else ""
            if message != self.outdated(kind):
                changed.append(kind)
                if message:
                    log.error("CRD is outdated", crd=name, differs=differs, command=COMMAND)
                else:
                    log.info("CRD is current", crd=name)
            self._outdated[kind] = message
        return changed

    async def run(self, period: float, changed: Callable[[str], None]) -> None:
        """Compare for ever.

        Args:
            period: how often, in seconds.
            changed: called with each kind about which something else is said than before.
        """
        while True:
            await asyncio.sleep(period * random.uniform(0.9, 1.1))  # noqa: S311 — jitter
            for kind in await self.check():
                changed(kind)


def _message(name: str, differs: str) -> str:
    return (
        f'the CustomResourceDefinition "{name}" at the API server is not this operator\'s, it differs in {differs}; '
        f"fields of this object may have been dropped; run {COMMAND} and apply your manifests again"
    )
