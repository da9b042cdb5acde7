"""StopAgent: whether an agent must stay at zero because one of its pods asked for that. Pure.

The stop is kept in the status, so that it outlives this process: the condition BudgetAvailable with reason Stopped
holds for the generation at which it was written, whatever pods do. A changed spec has another generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from agenttype_api import v1alpha1
from agenttype_api.conditions import Condition, Reason


@dataclass(frozen=True)
class Obeyed:
    """Stops that were obeyed: pods that asked for one, and the generation that they stopped."""

    generation: int
    pods: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stop:
    """The agent must stay at zero."""

    message: str
    told: bool
    """Whether the status says so. Only then may the pods go: with them goes all other memory of the reason."""


@dataclass(frozen=True)
class StoppedPodsLeaving:
    """The spec has changed, but pods that were stopped before are still there; the agent starts when they are gone."""


def decide(
    agent: v1alpha1.AgentType, asking: Mapping[str, str], obeyed: Obeyed | None
) -> Stop | StoppedPodsLeaving | None:
    """Decide whether an agent may run.

    Args:
        agent: as it is now, its status included.
        asking: uid of each living pod whose sidecar says that the agent must stop → why.
        obeyed: what this process knows of earlier stops.
    """
    if stop := told(agent):
        return stop
    old = obeyed.pods if obeyed and obeyed.generation < agent.metadata.generation else frozenset()
    for uid, why in sorted(asking.items()):
        if uid not in old:
            return Stop(f"the agent was stopped: {why}; it stays so until its spec changes", told=False)
    return StoppedPodsLeaving() if asking else None


def told(agent: v1alpha1.AgentType) -> Stop | None:
    """Return the stop that the status tells for this very generation."""
    for condition in agent.status.conditions:
        if condition.type == Condition.BUDGET_AVAILABLE and condition.reason == Reason.STOPPED:
            current = condition.observed_generation == agent.metadata.generation
            return Stop(condition.message, told=True) if current else None
    return None


def remember(obeyed: Obeyed | None, generation: int, asking: Mapping[str, str]) -> Obeyed | None:
    """Remember whose stop an agent's generation obeys; None once no stopped pod is left."""
    if not asking:
        return None
    if obeyed and obeyed.generation == generation:
        return Obeyed(generation, obeyed.pods | frozenset(asking))
    return Obeyed(generation, frozenset(asking))
