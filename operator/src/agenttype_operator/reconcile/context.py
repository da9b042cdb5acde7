"""What every reconciler works with, and what several kinds do with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from agenttype_api import keys
from agenttype_api.gate_policy import GateReport
from agenttype_api.sidecar_report import PolicyReport

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.crd_check import CrdCheck
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods.report_client import ReportClient
from agenttype_operator.pods.report_watch import ReportWatch
from agenttype_operator.reconcile.apply import Applier
from agenttype_operator.settings import ChildSettings
from agenttype_operator.status import conditions
from agenttype_operator.status.condition_drafts import Finding
from agenttype_operator.status.writer import StatusWriter


@dataclass(frozen=True)
class Context:
    """What every reconciler works with."""

    client: KubeClient
    informer: Informer
    crds: CrdCheck
    applier: Applier
    reports: ReportClient
    report_watch: ReportWatch
    status: StatusWriter
    children: ChildSettings

    def accepted(self, kind: str) -> Finding:
        """Find whether specs of a kind can be done, as far as its CustomResourceDefinition tells."""
        return conditions.accepted(self.crds.outdated(kind))

    async def refresh_policies(self, said: Sequence[tuple[Raw, PolicyReport | GateReport | None]], wanted: str) -> None:
        """Touch pods that have an older policy, once, so that the kubelet refreshes their volumes at once."""
        for pod, report in said:
            touched = (pod["metadata"].get("annotations") or {}).get(keys.ANNOTATION_POLICY_HASH)
            if (report is None or report.policy_hash != wanted) and touched != wanted:
                try:
                    found = await self.client.annotate(kinds.POD, pod, {keys.ANNOTATION_POLICY_HASH: wanted})
                except (errors.Missing, errors.Stale):
                    continue  # the pod is gone, or another has its name
                self.informer.observe(kinds.POD, found, by=kinds.user_of(pod))

    def deployment(self, namespace: str, name: str, owner: str) -> Raw | None:
        """Return the Deployment of a name that the owner of a uid controls."""
        entry = self.informer.cache.get(Key(kinds.DEPLOYMENT.name, namespace, name))
        controller = kinds.owner_of(entry.raw) if entry else None
        return entry.raw if entry and controller and controller["uid"] == owner else None
