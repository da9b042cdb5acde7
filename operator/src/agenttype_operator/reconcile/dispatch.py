"""Dispatches a key from the queue to the reconciler of its kind.

Every trigger leads here, and reconcilers remember nothing between calls that could not be found out again.
"""

from agenttype_api import v1alpha1

from agenttype_operator.informer.cache import Entry
from agenttype_operator.kube.kinds import Key
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile.agent_budget import AgentBudgetReconciler
from agenttype_operator.reconcile.agent_type import AgentTypeReconciler
from agenttype_operator.reconcile.context import Context
from agenttype_operator.reconcile.gate_binding import GateBindingReconciler
from agenttype_operator.reconcile.lora_adapter import LoraAdapterReconciler
from agenttype_operator.reconcile.model_backend import ModelBackendReconciler
from agenttype_operator.status import conditions


class Dispatcher:
    """Reconciles any key."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._agent_types = AgentTypeReconciler(context)
        self._model_backends = ModelBackendReconciler(context)
        self._lora_adapters = LoraAdapterReconciler(context)
        self._agent_budgets = AgentBudgetReconciler(context)
        self._gate_binding = GateBindingReconciler(context)

    async def __call__(self, key: Key) -> Result:
        """Reconcile one object; one that is deleted needs nothing, for Kubernetes removes its children."""
        if key == self._context.informer.binding:
            return await self._gate_binding.reconcile(key)
        entry = self._context.informer.cache.get(key)
        if entry is None or entry.raw["metadata"].get("deletionTimestamp"):
            return Result.DONE
        match entry.model:
            case v1alpha1.AgentType():
                work = self._agent_types.reconcile(entry.model, entry.raw)
            case v1alpha1.ModelBackend():
                work = self._model_backends.reconcile(entry.model, entry.raw)
            case v1alpha1.LoraAdapter():
                work = self._lora_adapters.reconcile(entry.model, entry.raw)
            case v1alpha1.AgentBudget():
                work = self._agent_budgets.reconcile(entry.model, entry.raw)
            case _:
                work = self._invalid(entry, key)
        return await work

    async def _invalid(self, entry: Entry, key: Key) -> Result:
        """Tell why a spec cannot be read; the rest of the status stays as it is."""
        kept = {
            name: value
            for name, value in (entry.raw.get("status") or {}).items()
            if name not in {"conditions", "observedGeneration"}
        }
        found = conditions.invalid(conditions.BY_KIND[key.kind], entry.error, self._context.crds.outdated(key.kind))
        await self._context.status.write(entry.raw, found, kept)
        return Result.DONE
