"""When each condition holds, and with which reason and message: pure. BudgetAvailable is in `budget_conditions`."""

from collections.abc import Iterable, Sequence
from typing import Any

from agenttype_api import compile as compiler
from agenttype_api import names, v1alpha1
from agenttype_api.conditions import Condition, Reason
from agenttype_api.gate_policy import AdapterReport, AdapterState, GateReport
from agenttype_api.sidecar_report import PolicyReport

from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.pods import pod_state
from agenttype_operator.status.condition_drafts import Finding, no, unknown, yes

AGENT = (
    Condition.ACCEPTED,
    Condition.RESOLVED_REFS,
    Condition.ADAPTER_LOADED,
    Condition.PROGRAMMED,
    Condition.BUDGET_AVAILABLE,
    Condition.AVAILABLE,
)
BACKEND = (Condition.ACCEPTED, Condition.RESOLVED_REFS, Condition.PROGRAMMED, Condition.AVAILABLE)
ADAPTER = (Condition.ACCEPTED, Condition.RESOLVED_REFS, Condition.LOADED)
BUDGET = (Condition.ACCEPTED,)
BY_KIND = {
    kinds.AGENT_TYPE.name: AGENT,
    kinds.MODEL_BACKEND.name: BACKEND,
    kinds.LORA_ADAPTER.name: ADAPTER,
    kinds.AGENT_BUDGET.name: BUDGET,
}
"""The conditions of each kind but Ready, in the order in which they are shown."""

_BY_STATE = {
    AdapterState.LOADING: Reason.LOADING,
    AdapterState.MISSING: Reason.ADAPTER_MISSING,
    AdapterState.DIGEST_MISMATCH: Reason.DIGEST_MISMATCH,
    AdapterState.REJECTED: Reason.ADAPTER_REJECTED,
    AdapterState.CAPACITY_EXCEEDED: Reason.CAPACITY_EXCEEDED,
}


def invalid(types: Iterable[Condition], why: str, outdated: str) -> list[Finding]:
    """Find that a spec cannot be read: nothing else can be told.

    Args:
        types: the conditions of the kind, Accepted first.
        why: what cannot be read.
        outdated: what is wrong with the kind's CustomResourceDefinition, which may be the cause; else empty.
    """
    accepts, *rest = types
    first = accepted(f"{why}; {outdated}") if outdated else no(accepts, Reason.INVALID, f"{why}; correct the spec")
    return [
        first,
        *(unknown(type_, Reason.INVALID, "the spec cannot be read") for type_ in rest),
    ]


def accepted(outdated: str) -> Finding:
    """Find whether the spec can be done.

    Args:
        outdated: what is wrong with the kind's CustomResourceDefinition, which may have dropped fields; else empty.
    """
    if outdated:
        return no(Condition.ACCEPTED, Reason.CRD_OUTDATED, outdated)
    return yes(Condition.ACCEPTED, Reason.ACCEPTED, "the spec can be done")


def resolved(unresolved: compiler.Unresolved | None) -> Finding:
    """Find whether all references lead somewhere."""
    if unresolved:
        return no(Condition.RESOLVED_REFS, unresolved.reason, unresolved.message)
    return yes(Condition.RESOLVED_REFS, Reason.RESOLVED, "all references resolve")


def adapters_loaded(wanted: Sequence[v1alpha1.LoraAdapter], *, missing: bool) -> Finding:
    """Find whether the adapters that an agent uses are live, from their own statuses.

    Args:
        wanted: the adapters that exist.
        missing: whether others are wanted that do not.
    """
    type_ = Condition.ADAPTER_LOADED
    if missing:
        return no(type_, Reason.ADAPTER_NOT_FOUND, "an adapter that a route uses does not exist")
    if not wanted:
        return yes(type_, Reason.NO_ADAPTER_NEEDED, "the agent uses base models only")
    for adapter in wanted:
        told = next((told for told in adapter.status.conditions if told.type == Condition.LOADED), None)
        prefix = f'adapter "{adapter.metadata.name}"'
        if told is None or told.observed_generation != adapter.metadata.generation:
            return no(type_, Reason.LOADING, f"{prefix}: its newest version has not been looked at yet")
        if told.status != "True":
            reason = Reason(told.reason) if told.reason in set(Reason) else Reason.LOADING
            return Finding(type_, told.status, reason, f"{prefix}: {told.message}")
    return yes(type_, Reason.LOADED, "every adapter is live in the version asked for")


def not_applied(failure: errors.OperatorError) -> Finding:
    """Find that the objects could not be made."""
    return no(Condition.PROGRAMMED, failure.reason, str(failure))


def unresolved_policy() -> Finding:
    """Find that no policy is written while references lead nowhere."""
    message = "no new policy is written until all references resolve; running pods keep the one they have"
    return no(Condition.PROGRAMMED, Reason.PENDING, message)


def programmed(
    running: Sequence[tuple[Raw, PolicyReport | GateReport | None]], wanted: str, *, scaled_to_zero: bool
) -> Finding:
    """Find whether every running pod has the policy in use.

    Args:
        running: pods whose sidecar or gate runs, each with what it said.
        wanted: hash of the current policy.
        scaled_to_zero: whether no pod is wanted at all.
    """
    type_ = Condition.PROGRAMMED
    if not running:
        if scaled_to_zero:
            return yes(type_, Reason.PROGRAMMED, "no pod runs; the policy is written")
        return no(type_, Reason.PENDING, "no pod runs yet that could take the policy")
    for pod, report in running:
        name = pod["metadata"]["name"]
        if report is None:
            message = f'pod "{name}" does not answer at its control port; it is asked again until it does'
            return no(type_, Reason.PENDING, message)
        if report.error:
            return no(type_, Reason.POLICY_REJECTED, f'pod "{name}" keeps its policy: {report.error}')
        if report.policy_hash != wanted:
            return no(type_, Reason.PENDING, f'pod "{name}" has not taken up the current policy yet')
    return yes(type_, Reason.PROGRAMMED, "every running pod has the current policy in use")


def available(deployment: Raw | None, found: Sequence[Raw], replicas: int) -> Finding:
    """Find whether the workload has the replicas that were asked for, all of the newest template."""
    type_ = Condition.AVAILABLE
    if replicas == 0:
        return yes(type_, Reason.SCALED_TO_ZERO, "replicas is 0: nothing runs")
    status: dict[str, Any] = (deployment or {}).get("status") or {}
    current = deployment and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    updated, there = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if current and min(updated, there) >= replicas:
        return yes(type_, Reason.AVAILABLE, f"{replicas} of {replicas} pods are ready")
    if why := _refused(status):
        return no(type_, Reason.FORBIDDEN, why)
    if why := pod_state.failure(found):
        return no(type_, Reason.POD_FAILING, why)
    return no(type_, Reason.PROGRESSING, f"{min(updated, there)} of {replicas} pods are ready")


def external() -> list[Finding]:
    """Find about a backend that we do not run: there is nothing of ours that could fail."""
    return [
        yes(Condition.PROGRAMMED, Reason.PROGRAMMED, "nothing needs a policy: the backend is not run by us"),
        yes(Condition.AVAILABLE, Reason.EXTERNAL, "not run by us; see the sidecars' metrics"),
    ]


def loaded(adapter: v1alpha1.LoraAdapter, replicas: Sequence[tuple[Raw, GateReport | None]]) -> Finding:
    """Find whether an adapter's version is live on every ready replica of its backend.

    A refusal on any replica is told even while others load: it does not pass by itself.
    """
    type_ = Condition.LOADED
    served = names.served_adapter(adapter)
    said = [(pod, _said(report, served)) for pod, report in replicas]
    for pod, told in said:
        if told and told.state not in {AdapterState.LOADED, AdapterState.LOADING}:
            where = f'pod "{pod["metadata"]["name"]}"'
            return no(type_, _BY_STATE[told.state], f"{where}: {told.message or told.state}")
    ready = [(pod, told) for pod, told in said if pod_state.ready(pod)]
    spoken = [report for _, report in replicas if report]
    if not spoken:
        return unknown(type_, Reason.NOT_PROBED, "no replica of the backend has said yet what it has loaded")
    if ready and all(told and told.state is AdapterState.LOADED for _, told in ready):
        return yes(type_, Reason.LOADED, f"{served} is live on {len(ready)} of {len(ready)} ready replicas")
    return no(type_, Reason.LOADING, f"{served} is on its way")


def _said(report: GateReport | None, served: str) -> AdapterReport | None:
    return next((told for told in report.adapters if told.served_name == served), None) if report else None


def _refused(status: dict[str, Any]) -> str | None:
    """Why the API server refuses a Deployment's pods: quota or admission."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return f"pods are refused: {condition.get('message', '')}"
    return None
