"""Reconciles the one ClusterRoleBinding that lets the gates of all ModelBackends review tokens."""

from agenttype_operator.desired import gate_binding
from agenttype_operator.informer import lister
from agenttype_operator.kube import errors, kinds
from agenttype_operator.kube.kinds import Key
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile.context import Context


class GateBindingReconciler:
    """Reconciles the binding; without it no gate can tell who calls, so a missing one is looked for again."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, key: Key) -> Result:
        """Give the binding the gates that exist as its subjects.

        Raises:
            errors.Missing: the chart's binding is not there, and there is a gate that needs it.
        """
        client = self._context.client
        wanted = gate_binding.gate_binding(key.name, lister.model_backends(self._context.informer.cache))
        found = await client.get(kinds.BINDING, "", key.name)
        if found is None:
            if not wanted["subjects"]:
                return Result.DONE
            raise errors.Missing(f'there is no ClusterRoleBinding "{key.name}"; install the chart, which makes it')
        if not gate_binding.same_subjects(found, wanted):
            wanted["metadata"]["uid"] = found["metadata"]["uid"]
            await client.apply(wanted)
        return Result.DONE
