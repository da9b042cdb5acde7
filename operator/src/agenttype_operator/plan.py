"""From a kind and its neighbours to everything that should exist for it: pure.

The order is the order of applying: what a pod needs comes before the pod.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from agenttype_api import compile as compiler
from agenttype_api import names, policy, v1alpha1

from agenttype_operator.desired import (
    agent_deployment,
    backend_deployment,
    config_map,
    metadata,
    network_policy,
    service,
    service_account,
)
from agenttype_operator.desired.metadata import Raw
from agenttype_operator.settings import Making


@dataclass(frozen=True)
class Neighbours:
    """Everything of one namespace that parses, by name."""

    agents: dict[str, v1alpha1.AgentType]
    backends: dict[str, v1alpha1.ModelBackend]
    adapters: dict[str, v1alpha1.LoraAdapter]
    budgets: dict[str, v1alpha1.AgentBudget] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What should exist for one owner, and the hash of the policy among it."""

    objects: tuple[Raw, ...] = ()
    policy_hash: str = ""
    limits: tuple[policy.Limit, ...] = ()
    """Of an agent's policy."""


def agent_plan(agent: v1alpha1.AgentType, around: Neighbours, making: Making, *, stopped: bool = False) -> Plan:
    """Plan an agent's children.

    Args:
        agent: whose children.
        around: what it can refer to.
        making: what the administrator chose.
        stopped: whether no pod may run, whatever the spec says.

    Raises:
        compiler.Unresolved: a reference leads nowhere, or a limit is shared and there is no NATS server.
    """
    surroundings = compiler.Surroundings(
        around.backends, around.adapters, around.budgets, making.nats_url, making.nats_authority
    )
    document = compiler.agent_policy(agent, surroundings)
    backends = [around.backends[backend.name] for backend in document.backends]
    objects = [
        service_account.service_account(agent, names.workload(agent)),
        config_map.agent_policy(agent, document),
        agent_deployment.agent_deployment(agent, backends, making, stopped=stopped),
        service.agent_service(agent),
    ]
    return Plan(_sealed(objects), document.hash(), document.budget.limits)


def backend_plan(backend: v1alpha1.ModelBackend, around: Neighbours, making: Making) -> Plan:
    """Plan a backend's children; an external backend has none."""
    vllm = backend.spec.vllm
    if vllm is None:
        return Plan()
    document = compiler.gate_policy(backend, around.agents.values(), around.adapters.values())
    objects = [
        service_account.service_account(backend, names.backend_workload(backend)),
        config_map.gate_policy(backend, document),
        network_policy.network_policy(backend),
        backend_deployment.backend_deployment(backend, vllm, making.images),
        service.backend_service(backend),
    ]
    return Plan(_sealed(objects), document.hash())


def _sealed(objects: Iterable[Raw | None]) -> tuple[Raw, ...]:
    return tuple(metadata.sealed(body) for body in objects if body)
