"""Brings one object to what its spec says: read the cache, plan, apply and prune, ask pods, report once.

Every trigger leads here, and nothing is remembered between calls that could not be found out again.
"""

from collections.abc import Sequence

from agenttype_api import compile as compiler
from agenttype_api import keys, names, v1alpha1
from agenttype_api.gate_policy import AdapterState, GateReport

from agenttype_operator.desired import gate_binding
from agenttype_operator.informer.cache import Entry
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods import pod_state
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile import plan
from agenttype_operator.reconcile.agent_type import AgentTypeReconciler
from agenttype_operator.reconcile.context import Context, lasting
from agenttype_operator.status import budget_conditions, conditions


class Dispatcher:
    """Reconciles any key."""

    def __init__(self, tools: Context) -> None:
        self._tools = tools
        self._agents = AgentTypeReconciler(tools)
        self._cache = tools.world.cache

    async def __call__(self, key: Key) -> Result:
        """Reconcile one object; an object that is gone or going needs nothing, for Kubernetes removes its children."""
        if key == self._tools.world.binding:
            return await self._binding(key)
        entry = self._cache.get(key)
        if entry is None or entry.raw["metadata"].get("deletionTimestamp"):
            return Result.DONE
        match entry.model:
            case v1alpha1.AgentType():
                work = self._agents.reconcile(entry.model, entry.raw)
            case v1alpha1.ModelBackend():
                work = self._backend(entry.model, entry.raw)
            case v1alpha1.LoraAdapter():
                work = self._adapter(entry.model, entry.raw)
            case v1alpha1.AgentBudget():
                work = self._budget(entry.model, entry.raw)
            case _:
                work = self._invalid(entry, key)
        return await work

    async def _backend(self, backend: v1alpha1.ModelBackend, raw: Raw) -> Result:
        around = self._tools.world.around(backend.metadata.namespace)
        wanted = plan.backend_plan(backend, around, self._tools.settings.making)
        failure = None
        try:
            await self._tools.converger.converge(backend, wanted)
        except errors.OperatorError as error:
            failure = lasting(error)
        key = _key(backend)
        living = pod_state.living(self._cache.pods(key))
        if backend.spec.vllm is None:
            told = (
                conditions.external()
                if failure is None
                else [conditions.not_applied(failure), conditions.external()[1]]
            )
            await self._tools.reporter.report(
                raw, [conditions.accepted(), conditions.resolved(None), *told], {"readyReplicas": 0, "policyHash": ""}
            )
            return _outcome(failure, waiting=False)
        running = [pod for pod in living if pod_state.started(pod, keys.CONTAINER_GATE)]
        said = await self._gates(backend, running, wanted.policy_hash)
        await self._tools.nudge(said, wanted.policy_hash)
        programmed = (
            conditions.not_applied(failure)
            if failure
            else conditions.programmed(said, wanted.policy_hash, scaled_to_zero=False)
        )
        deployment = self._tools.deployment(
            backend.metadata.namespace, names.backend_workload(backend), backend.metadata.uid
        )
        await self._tools.reporter.report(
            raw,
            [
                conditions.accepted(),
                conditions.resolved(None),
                programmed,
                conditions.available(deployment, living, 1),
            ],
            {
                "readyReplicas": ((deployment or {}).get("status") or {}).get("readyReplicas", 0),
                "policyHash": wanted.policy_hash,
            },
        )
        settled = all(report and _settled(report, wanted.policy_hash) for _, report in said)
        return _outcome(failure, waiting=not settled)

    async def _gates(
        self, backend: v1alpha1.ModelBackend, running: Sequence[Raw], wanted: str
    ) -> list[tuple[Raw, GateReport | None]]:
        """Ask a backend's gates, and let its adapters be looked at when they said something new."""
        observer = self._tools.observer
        before = [(observer.asked(pod), observer.report(pod, GateReport)) for pod in running]
        await observer.gates(running, lambda report: _settled(report, wanted))
        said = [(pod, observer.report(pod, GateReport)) for pod in running]
        if before != [(observer.asked(pod), report) for pod, report in said]:
            for entry in self._cache.entries(kinds.LORA_ADAPTER, backend.metadata.namespace):
                model = entry.model
                if isinstance(model, v1alpha1.LoraAdapter) and model.spec.backend_ref.name == backend.metadata.name:
                    self._tools.world.look_at(_key(model))
        return said

    async def _adapter(self, adapter: v1alpha1.LoraAdapter, raw: Raw) -> Result:
        name = adapter.spec.backend_ref.name
        backend = Key(kinds.MODEL_BACKEND.name, adapter.metadata.namespace, name)
        entry = self._cache.get(backend)
        model = entry.model if entry and isinstance(entry.model, v1alpha1.ModelBackend) else None
        unresolved = None
        try:
            compiler.check_adapter_backend(adapter, model)
        except compiler.Unresolved as found:
            unresolved = found
        living = pod_state.living(self._cache.pods(backend))
        running = [pod for pod in living if pod_state.started(pod, keys.CONTAINER_GATE)]
        if not unresolved and running and not any(self._tools.observer.asked(pod) for pod in running):
            return Result.DONE  # we have just started: the status stands until the backend has asked its gates
        replicas = [(pod, self._tools.observer.report(pod, GateReport)) for pod in living]
        await self._tools.reporter.report(
            raw,
            [conditions.accepted(), conditions.resolved(unresolved), conditions.loaded(adapter, replicas)],
            {"servedName": names.served_adapter(adapter)},
        )
        return Result.DONE

    async def _budget(self, budget: v1alpha1.AgentBudget, raw: Raw) -> Result:
        sharing = 0
        for entry in self._cache.entries(kinds.AGENT_TYPE, budget.metadata.namespace):
            if isinstance(entry.model, v1alpha1.AgentType) and (shared := entry.model.spec.budget.budget_ref):
                sharing += shared.name == budget.metadata.name
        await self._tools.reporter.report(raw, [conditions.accepted()], {"agentTypes": sharing})
        return Result.DONE

    async def _invalid(self, entry: Entry, key: Key) -> Result:
        types = {
            kinds.AGENT_TYPE.name: conditions.AGENT,
            kinds.MODEL_BACKEND.name: conditions.BACKEND,
            kinds.LORA_ADAPTER.name: conditions.ADAPTER,
            kinds.AGENT_BUDGET.name: budget_conditions.BUDGET,
        }[key.kind]
        kept = {
            name: value
            for name, value in (entry.raw.get("status") or {}).items()
            if name not in {"conditions", "observedGeneration"}
        }
        await self._tools.reporter.report(entry.raw, conditions.invalid(types, entry.error), kept)
        return Result.DONE

    async def _binding(self, key: Key) -> Result:
        """Keep the one binding of all gates; without it no gate can tell who calls, so it is looked for again."""
        backends = [
            model for model in self._cache.models(kinds.MODEL_BACKEND) if isinstance(model, v1alpha1.ModelBackend)
        ]
        wanted = gate_binding.gate_binding(key.name, backends)
        found = await self._tools.cluster.get(kinds.BINDING, "", key.name)
        if found is None:
            if not wanted["subjects"]:
                return Result.DONE
            raise errors.Missing(f'there is no ClusterRoleBinding "{key.name}"; install the chart, which makes it')
        if not gate_binding.same_subjects(found, wanted):
            wanted["metadata"]["uid"] = found["metadata"]["uid"]
            await self._tools.cluster.apply(wanted)
        return Result.DONE


def _settled(report: GateReport, wanted: str) -> bool:
    """Whether a gate has nothing more to tell: its document is current and all its adapters are live."""
    return (
        report.policy_hash == wanted
        and report.engine_ready
        and all(adapter.state is AdapterState.LOADED for adapter in report.adapters)
    )


def _outcome(failure: errors.OperatorError | None, *, waiting: bool) -> Result:
    return Result.AGAIN if failure or waiting else Result.DONE


def _key(model: v1alpha1.AgentType | v1alpha1.ModelBackend | v1alpha1.LoraAdapter) -> Key:
    return Key(model.kind, model.metadata.namespace, model.metadata.name)
