"""When BudgetAvailable holds: pure.

Messages name limits and when they start again, never numbers that count: a status must not move while nothing happens.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from agenttype_api import compile as compiler
from agenttype_api import policy, v1alpha1
from agenttype_api.conditions import Condition, Reason
from agenttype_api.schema import ConditionStatus
from agenttype_api.sidecar_report import PolicyReport

from agenttype_operator.kube.kinds import Raw
from agenttype_operator.status.condition_drafts import Finding, no, unknown, yes

_RENEWAL: Final = {
    v1alpha1.Window.RUN: "it counts for the life of the pod; raise the limit or replace the pod",
    v1alpha1.Window.HOUR: "it starts again with the next hour",
    v1alpha1.Window.DAY: "it starts again with the next day, in UTC",
    v1alpha1.Window.MONTH: "it starts again with the next month, in UTC",
    v1alpha1.Window.FOREVER: "it never starts again; raise the limit",
}
#: Without these there is no policy, so the budget cannot be told either.
_UNRESOLVED: Final = {Reason.BUDGET_NOT_FOUND, Reason.NATS_NOT_CONFIGURED}
#: What pods say, and what is kept while they are silent.
_SAID: Final = {Reason.EXHAUSTED, Reason.NATS_UNREACHABLE}

Said = Sequence[tuple[Raw, PolicyReport | None]]


def stopped(message: str) -> Finding:
    """Find that StopAgent keeps an agent at zero."""
    return no(Condition.BUDGET_AVAILABLE, Reason.STOPPED, message)


def stopped_pods_leaving() -> Finding:
    """Find that an agent may start again, but its stopped pods are still there."""
    message = "pods that were stopped are being removed; the agent starts when they are gone"
    return unknown(Condition.BUDGET_AVAILABLE, Reason.PROGRESSING, message)


def unresolved(found: compiler.Unresolved | None) -> Finding | None:
    """Find that the budget itself is what cannot be resolved; None otherwise."""
    if found and found.reason in _UNRESOLVED:
        return no(Condition.BUDGET_AVAILABLE, found.reason, found.message)
    return None


def available(said: Said, limits: Iterable[policy.Limit], before: Iterable[ConditionStatus]) -> Finding:
    """Find whether budget is left, and whether what counts it can be reached.

    Args:
        said: pods whose sidecar runs, by name, each with what it said; a silent one leaves open what it would say.
        limits: the limits of the current policy, in their order.
        before: the agent's conditions so far.
    """
    type_ = Condition.BUDGET_AVAILABLE
    known = {limit.name: limit for limit in limits}
    for pod, report in said:
        name = pod["metadata"]["name"]
        for exhausted in _lasting(report, known):
            return no(type_, Reason.EXHAUSTED, _exhausted(exhausted, known.get(exhausted), name))
    for pod, report in said:
        if report and report.nats_error:
            where = f'pod "{pod["metadata"]["name"]}" cannot count shared limits'
            message = f"{where}: {report.nats_error}; it spends what it has leased, then refuses calls"
            return no(type_, Reason.NATS_UNREACHABLE, message)
    told = next((condition for condition in before if condition.type == type_), None)
    if told and told.reason in _SAID and any(report is None for _, report in said):
        return Finding(type_, told.status, Reason(told.reason), told.message)
    return yes(type_, Reason.WITHIN_LIMITS, "no limit is used up")


def _lasting(report: PolicyReport | None, known: Mapping[str, policy.Limit]) -> Iterator[str]:
    """Yield the limits that are used up, but for those that are back within a minute.

    A limit by the minute is a rate: told here it would flip Ready back and forth for as long as the agent is busy.
    """
    for name in report.exhausted if report else ():
        if name not in known or known[name].window is not v1alpha1.Window.MINUTE:
            yield name


def _exhausted(name: str, limit: policy.Limit | None, pod: str) -> str:
    if limit is None:
        return f'limit "{name}" is used up on pod "{pod}"'
    where = f' on pod "{pod}"' if limit.scope is v1alpha1.Scope.POD else ""
    return f'limit "{name}" is used up{where}: {_RENEWAL[limit.window]}'
