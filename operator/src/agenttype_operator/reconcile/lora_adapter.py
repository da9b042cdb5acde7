"""Reconciles a LoraAdapter: it has no children, its status tells what the gates of its backend have loaded."""

from agenttype_api import compile as compiler
from agenttype_api import keys, names, v1alpha1
from agenttype_api.gate_policy import GateReport

from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods import pod_state
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile.context import Context
from agenttype_operator.status import conditions


class LoraAdapterReconciler:
    """Reconciles LoraAdapters."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, adapter: v1alpha1.LoraAdapter, raw: Raw) -> Result:
        """Tell whether an adapter is live, from what its backend's gates said; the backend's reconcile asks them."""
        reports, cache = self._context.reports, self._context.informer.cache
        backend = Key(kinds.MODEL_BACKEND.name, adapter.metadata.namespace, adapter.spec.backend_ref.name)
        entry = cache.get(backend)
        model = entry.model if entry and isinstance(entry.model, v1alpha1.ModelBackend) else None
        unresolved = None
        try:
            compiler.check_adapter_backend(adapter, model)
        except compiler.Unresolved as found:
            unresolved = found
        living = pod_state.living(cache.pods(backend))
        running = [pod for pod in living if pod_state.started(pod, keys.CONTAINER_GATE)]
        if not unresolved and running and not any(reports.asked(pod) for pod in running):
            return Result.DONE  # we have just started: the status stands until the backend has asked its gates
        replicas = [(pod, reports.report(pod, GateReport)) for pod in living]
        await self._context.status.write(
            raw,
            [
                self._context.accepted(adapter.kind),
                conditions.resolved(unresolved),
                conditions.loaded(adapter, replicas),
            ],
            {"servedName": names.served_adapter(adapter)},
        )
        return Result.DONE
