"""Reconciles an AgentType: plan, apply and prune, hear its sidecars, write the status."""

from collections.abc import Sequence

from agenttype_api import compile as compiler
from agenttype_api import keys, names, v1alpha1
from agenttype_api.sidecar_report import PolicyReport

from agenttype_operator.desired import metadata
from agenttype_operator.informer import lister
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods import pod_state
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile import plan, stop_agent
from agenttype_operator.reconcile.apply import reportable
from agenttype_operator.reconcile.context import Context
from agenttype_operator.reconcile.stop_agent import Stop, StoppedPodsLeaving
from agenttype_operator.status import budget_conditions, conditions
from agenttype_operator.status.budget_conditions import Said
from agenttype_operator.status.condition_drafts import Finding


class AgentTypeReconciler:
    """Reconciles AgentTypes."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._obeyed: dict[str, stop_agent.Obeyed] = {}
        """Per agent's uid: which pods' stop was obeyed, while those pods are there."""

    async def reconcile(self, agent: v1alpha1.AgentType, raw: Raw) -> Result:
        """Bring an agent to what its spec says."""
        context = self._context
        cache = context.informer.cache
        around = lister.neighbours(cache, agent.metadata.namespace, agents=False)
        living = pod_state.living(cache.pods(_key(agent)))
        running = [pod for pod in living if pod_state.started(pod, keys.CONTAINER_SIDECAR)]
        context.report_watch.follow(_key(agent), running)
        stop = self._stop(agent, self._said(running))
        unresolved, failure, wanted = None, None, plan.Plan(policy_hash=agent.status.policy_hash)
        try:
            wanted = plan.agent_plan(agent, around, context.children, stopped=stop is not None)
            if not (isinstance(stop, Stop) and not stop.told):
                await context.applier.apply(agent, wanted)
        except compiler.Unresolved as found:
            unresolved = found
        except errors.OperatorError as error:
            failure = reportable(error)
        if not (unresolved or failure):
            await context.reports.policies(running, wanted.policy_hash)
            await context.refresh_policies(self._said(running), wanted.policy_hash)
        said = self._said(running)
        stop = self._stop(agent, said)
        replicas = 0 if stop else agent.spec.replicas
        programmed = _not_programmed(unresolved, failure) or conditions.programmed(
            said, wanted.policy_hash, scaled_to_zero=replicas == 0
        )
        budget = (
            _stopped(stop)
            or budget_conditions.unresolved(unresolved)
            or budget_conditions.available(said, wanted.limits, agent.status.conditions)
        )
        deployment = context.deployment(agent.metadata.namespace, names.workload(agent), agent.metadata.uid)
        used = compiler.agent_adapters(agent, around.adapters)
        named = {step.adapter_ref.name for step in compiler.steps(agent) if step.adapter_ref}
        await context.status.write(
            raw,
            [
                context.accepted(agent.kind),
                conditions.resolved(unresolved),
                conditions.adapters_loaded(used, missing=len(used) < len(named)),
                programmed,
                budget,
                conditions.available(deployment, living, replicas),
            ],
            {**_scale(deployment, agent), "policyHash": wanted.policy_hash},
        )
        waiting = bool(said) and not (unresolved or failure or programmed.holds)
        untold = isinstance(stop, Stop) and not stop.told
        return Result.REQUEUE if failure or waiting or untold else Result.DONE

    def _said(self, running: Sequence[Raw]) -> Said:
        return [(pod, self._context.reports.report(pod, PolicyReport)) for pod in running]

    def _stop(self, agent: v1alpha1.AgentType, said: Said) -> Stop | StoppedPodsLeaving | None:
        """Decide whether the agent may run, and remember which pods' stop that obeys."""
        uid = agent.metadata.uid
        asking = {pod["metadata"]["uid"]: report.stopped for pod, report in said if report and report.stopped}
        stop = stop_agent.decide(agent, asking, self._obeyed.get(uid))
        if isinstance(stop, Stop) or not asking:
            obeyed = stop_agent.remember(self._obeyed.pop(uid, None), agent.metadata.generation, asking)
            if obeyed:
                self._obeyed[uid] = obeyed
        return stop


def _stopped(stop: Stop | StoppedPodsLeaving | None) -> Finding | None:
    match stop:
        case Stop():
            return budget_conditions.stopped(stop.message)
        case StoppedPodsLeaving():
            return budget_conditions.stopped_pods_leaving()
    return None


def _not_programmed(unresolved: compiler.Unresolved | None, failure: errors.OperatorError | None) -> Finding | None:
    if unresolved:
        return conditions.unresolved_policy()
    return conditions.not_applied(failure) if failure else None


def _scale(deployment: Raw | None, agent: v1alpha1.AgentType) -> Raw:
    """Members of the status that the scale subresource reads."""
    status = (deployment or {}).get("status") or {}
    return {
        "replicas": status.get("replicas", 0),
        "readyReplicas": status.get("readyReplicas", 0),
        "selector": ",".join(f"{name}={value}" for name, value in metadata.selector(agent).items()),
    }


def _key(agent: v1alpha1.AgentType) -> Key:
    return Key(kinds.AGENT_TYPE.name, agent.metadata.namespace, agent.metadata.name)
