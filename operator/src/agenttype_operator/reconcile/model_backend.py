"""Reconciles a ModelBackend: plan, apply and prune, ask its gates, write the status."""

from collections.abc import Sequence

from agenttype_api import keys, names, v1alpha1
from agenttype_api.gate_policy import AdapterState, GateReport

from agenttype_operator.informer import lister
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods import pod_state
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile import plan
from agenttype_operator.reconcile.apply import reportable
from agenttype_operator.reconcile.context import Context
from agenttype_operator.status import conditions


class ModelBackendReconciler:
    """Reconciles ModelBackends."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, backend: v1alpha1.ModelBackend, raw: Raw) -> Result:
        """Bring a backend to what its spec says."""
        context = self._context
        namespace = backend.metadata.namespace
        wanted = plan.backend_plan(backend, lister.neighbours(context.informer.cache, namespace), context.children)
        failure = None
        try:
            await context.applier.apply(backend, wanted)
        except errors.OperatorError as error:
            failure = reportable(error)
        if backend.spec.vllm is None:
            return await self._external(backend, raw, failure)
        living = pod_state.living(context.informer.cache.pods(_key(backend)))
        running = [pod for pod in living if pod_state.started(pod, keys.CONTAINER_GATE)]
        said = await self._ask_gates(backend, running, wanted.policy_hash)
        await context.refresh_policies(said, wanted.policy_hash)
        programmed = (
            conditions.not_applied(failure)
            if failure
            else conditions.programmed(said, wanted.policy_hash, scaled_to_zero=False)
        )
        deployment = context.deployment(namespace, names.backend_workload(backend), backend.metadata.uid)
        await context.status.write(
            raw,
            [
                context.accepted(backend.kind),
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
        return Result.DONE if settled and not failure else Result.REQUEUE

    async def _external(self, backend: v1alpha1.ModelBackend, raw: Raw, failure: errors.OperatorError | None) -> Result:
        """Write the status of a backend that we do not run."""
        programmed, available = conditions.external()
        if failure:
            programmed = conditions.not_applied(failure)
        await self._context.status.write(
            raw,
            [
                self._context.accepted(backend.kind),
                conditions.resolved(None),
                programmed,
                available,
            ],
            {"readyReplicas": 0, "policyHash": ""},
        )
        return Result.REQUEUE if failure else Result.DONE

    async def _ask_gates(
        self, backend: v1alpha1.ModelBackend, running: Sequence[Raw], wanted: str
    ) -> list[tuple[Raw, GateReport | None]]:
        """Ask a backend's gates, and enqueue its adapters when the gates said something new."""
        reports, informer = self._context.reports, self._context.informer
        before = [(reports.asked(pod), reports.report(pod, GateReport)) for pod in running]
        await reports.gates(running, lambda report: _settled(report, wanted))
        said = [(pod, reports.report(pod, GateReport)) for pod in running]
        if before != [(reports.asked(pod), report) for pod, report in said]:
            for entry in informer.cache.entries(kinds.LORA_ADAPTER, backend.metadata.namespace):
                model = entry.model
                if isinstance(model, v1alpha1.LoraAdapter) and model.spec.backend_ref.name == backend.metadata.name:
                    informer.enqueue(Key(kinds.LORA_ADAPTER.name, model.metadata.namespace, model.metadata.name))
        return said


def _settled(report: GateReport, wanted: str) -> bool:
    """Whether a gate has nothing more to tell: its document is current and all its adapters are live."""
    return (
        report.policy_hash == wanted
        and report.engine_ready
        and all(adapter.state is AdapterState.LOADED for adapter in report.adapters)
    )


def _key(backend: v1alpha1.ModelBackend) -> Key:
    return Key(kinds.MODEL_BACKEND.name, backend.metadata.namespace, backend.metadata.name)
