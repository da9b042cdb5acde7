"""What a reconcile works with, and the two things that several kinds do with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from agenttype_api import keys
from agenttype_api.gate_policy import GateReport
from agenttype_api.sidecar_report import PolicyReport

from agenttype_operator import errors, kinds
from agenttype_operator.cluster import Cluster
from agenttype_operator.converge import Converger
from agenttype_operator.kinds import Key, Raw
from agenttype_operator.observe import Observer
from agenttype_operator.report import Reporter
from agenttype_operator.settings import Settings
from agenttype_operator.watch import Watcher
from agenttype_operator.world import World


@dataclass(frozen=True)
class Tools:
    """What a reconcile works with."""

    cluster: Cluster
    world: World
    converger: Converger
    observer: Observer
    watcher: Watcher
    reporter: Reporter
    settings: Settings

    async def nudge(self, said: Sequence[tuple[Raw, PolicyReport | GateReport | None]], wanted: str) -> None:
        """Touch pods that have an older policy, once, so that the kubelet refreshes their volumes at once."""
        for pod, report in said:
            touched = (pod["metadata"].get("annotations") or {}).get(keys.ANNOTATION_POLICY_HASH)
            if (report is None or report.policy_hash != wanted) and touched != wanted:
                try:
                    found = await self.cluster.annotate(kinds.POD, pod, {keys.ANNOTATION_POLICY_HASH: wanted})
                except (errors.Missing, errors.Stale):
                    continue  # the pod is gone, or another has its name
                self.world.seen(kinds.POD, found, by=kinds.user_of(pod))

    def deployment(self, namespace: str, name: str, owner: str) -> Raw | None:
        """Return the Deployment of a name that the owner of a uid controls."""
        entry = self.world.cache.get(Key(kinds.DEPLOYMENT.name, namespace, name))
        controller = kinds.owner_of(entry.raw) if entry else None
        return entry.raw if entry and controller and controller["uid"] == owner else None


def lasting(error: errors.OperatorError) -> errors.OperatorError:
    """Return a failure that the status shall tell; raise one that passes by itself or keeps us from telling."""
    if isinstance(error, errors.Stale | errors.Unavailable | errors.NotLeading):
        raise error
    return error
