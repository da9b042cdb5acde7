"""Reconciles an AgentBudget: it has no children, its status counts the agents that share it."""

from agenttype_api import v1alpha1

from agenttype_operator.informer import lister
from agenttype_operator.kube.kinds import Raw
from agenttype_operator.queue.controller import Result
from agenttype_operator.reconcile.context import Context


class AgentBudgetReconciler:
    """Reconciles AgentBudgets."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def reconcile(self, budget: v1alpha1.AgentBudget, raw: Raw) -> Result:
        """Count the agents that share a budget."""
        agents = lister.neighbours(self._context.informer.cache, budget.metadata.namespace).agents.values()
        references = (agent.spec.budget.budget_ref for agent in agents)
        sharing = sum(reference is not None and reference.name == budget.metadata.name for reference in references)
        await self._context.status.write(raw, [self._context.accepted(budget.kind)], {"agentTypes": sharing})
        return Result.DONE
