"""From kinds to documents: pure functions that the operator and the command line both use.

What cannot be resolved raises `Unresolved`, whose reason is a condition's reason and whose message tells the fix.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from agenttype_api import keys, names, policy, quantities, v1alpha1
from agenttype_api.conditions import Reason
from agenttype_api.gate_policy import Caller, GatePolicy, WantedAdapter


class Unresolved(Exception):  # noqa: N818 — a finding about the user's spec, not a fault
    """A reference leads nowhere; the user must act."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


Backends = Mapping[str, v1alpha1.ModelBackend]
Adapters = Mapping[str, v1alpha1.LoraAdapter]
Budgets = Mapping[str, v1alpha1.AgentBudget]
_Routed = v1alpha1.ModelRoute | v1alpha1.FallbackSpec


@dataclass(frozen=True)
class Surroundings:
    """What an agent's spec can refer to: all objects of its namespace by name, and the NATS server of shared limits.

    Attributes:
        nats_url: URL of the NATS server that counts shared limits; None where there is none.
        nats_authority: Certificates (PEM) that vouch for it; None: the system's.
    """

    backends: Backends
    adapters: Adapters = field(default_factory=dict)
    budgets: Budgets = field(default_factory=dict)
    nats_url: str | None = None
    nats_authority: str | None = None


def agent_policy(agent: v1alpha1.AgentType, around: Surroundings) -> policy.Policy:
    """Compile an agent's policy document.

    Args:
        agent: the AgentType.
        around: what it can refer to.

    Raises:
        Unresolved: a reference leads nowhere or does not fit, or a limit is shared and there is no NATS server.
    """
    routes = [_route(route, around) for route in agent.spec.models]
    used = dict.fromkeys(
        name for route in routes for name in (route.backend, *(step.backend for step in route.fallback))
    )
    limits = _limits(agent, around.budgets)
    shared = shares_limits(agent)
    if shared and around.nats_url is None:
        raise Unresolved(
            Reason.NATS_NOT_CONFIGURED,
            "a limit is shared by several pods, and nothing is there to count it; install the chart with "
            "nats.enabled=true or nats.url, or make the limit's scope Pod",
        )
    return policy.Policy(
        identity=policy.Identity(namespace=agent.metadata.namespace, name=agent.metadata.name, uid=agent.metadata.uid),
        backends=tuple(_backend(around.backends[name]) for name in used),
        routes=tuple(routes),
        tools=tuple(_tool(tool) for tool in agent.spec.tools),
        budget=_budget(agent.spec.budget, limits),
        rate_limits=policy.RateLimits.model_validate(agent.spec.rate_limits.model_dump()),
        rules=tuple(policy.Rule.model_validate(rule.model_dump()) for rule in agent.spec.rules),
        nats=policy.Nats(url=around.nats_url, authority=around.nats_authority) if shared and around.nats_url else None,
    )


def shares_limits(agent: v1alpha1.AgentType) -> bool:
    """Return whether any limit of an agent is counted outside its own pods."""
    budget = agent.spec.budget
    return budget.budget_ref is not None or any(limit.scope != v1alpha1.Scope.POD for limit in budget.limits)


def agent_adapters(agent: v1alpha1.AgentType, adapters: Adapters) -> list[v1alpha1.LoraAdapter]:
    """Return the adapters that an agent's routes use, in their order, each once; absent ones are left out."""
    used = dict.fromkeys(step.adapter_ref.name for step in steps(agent) if step.adapter_ref)
    return [adapters[name] for name in used if name in adapters]


def steps(agent: v1alpha1.AgentType) -> Iterator[_Routed]:
    """Yield everything that may answer an agent's calls: its routes, each followed by its fallbacks."""
    for route in agent.spec.models:
        yield route
        yield from route.fallback


def gate_policy(
    backend: v1alpha1.ModelBackend,
    agents: Iterable[v1alpha1.AgentType],
    adapters: Iterable[v1alpha1.LoraAdapter],
) -> GatePolicy:
    """Compile the gate document of a backend that we run.

    Only what belongs to the backend enters it: its adapters, and the agents whose routes resolve to it.

    Args:
        backend: a ModelBackend with `spec.vllm`.
        agents: all AgentTypes of its namespace, in any order.
        adapters: all LoraAdapters of its namespace, in any order.
    """
    vllm = backend.spec.vllm
    if vllm is None:
        raise ValueError(f"backend {backend.metadata.name} is external and has no gate")
    own = sorted(
        (adapter for adapter in adapters if adapter.spec.backend_ref.name == backend.metadata.name),
        key=lambda adapter: adapter.metadata.name,
    )
    served = {adapter.metadata.name: names.served_adapter(adapter) for adapter in own}
    callers = []
    for agent in sorted(agents, key=lambda agent: agent.metadata.name):
        models = _models_of(agent, backend, served)
        if models:
            account = names.service_account(agent)
            callers.append(Caller(service_account=account, agent_type=account, models=models))
    return GatePolicy(
        identity=policy.Identity(
            namespace=backend.metadata.namespace, name=backend.metadata.name, uid=backend.metadata.uid
        ),
        base_model=names.base_model(backend),
        max_adapters=vllm.lora.max_adapters if vllm.lora else 0,
        max_rank=vllm.lora.max_rank if vllm.lora else 0,
        adapters=tuple(
            WantedAdapter(
                name=adapter.metadata.name,
                served_name=served[adapter.metadata.name],
                path=adapter.spec.source.path,
                digest=adapter.spec.source.digest,
            )
            for adapter in own
        ),
        callers=tuple(callers),
    )


def _models_of(agent: v1alpha1.AgentType, backend: v1alpha1.ModelBackend, served: Mapping[str, str]) -> tuple[str, ...]:
    """Served names of a backend that an agent may call, sorted."""
    models = set()
    for step in steps(agent):
        if step.backend_ref.name != backend.metadata.name:
            continue
        if step.adapter_ref is None:
            models.add(names.base_model(backend))
        elif step.adapter_ref.name in served:
            models.add(served[step.adapter_ref.name])
    return tuple(sorted(models))


def _route(route: v1alpha1.ModelRoute, around: Surroundings) -> policy.Route:
    backend, model, adapter = _step(route, around)
    fallback = []
    for step in route.fallback:
        other, its_model, its_adapter = _step(step, around)
        fallback.append(policy.Fallback(backend=other, model=its_model, adapter=its_adapter, when=tuple(step.when)))
    return policy.Route(
        match=tuple(route.match), backend=backend, model=model, adapter=adapter, fallback=tuple(fallback)
    )


def _step(step: _Routed, around: Surroundings) -> tuple[str, str | None, str | None]:
    """Return backend, served model and adapter of something that may answer."""
    name = step.backend_ref.name
    backend = around.backends.get(name)
    if backend is None:
        raise Unresolved(
            Reason.BACKEND_NOT_FOUND,
            f'there is no ModelBackend "{name}" in this namespace; create it or change backendRef',
        )
    if step.adapter_ref is None:
        if backend.spec.vllm is None:
            return name, step.model, None
        if step.model is not None:
            raise Unresolved(
                Reason.INVALID,
                f'backend "{name}" serves one base model; leave model out, or name an adapter with adapterRef',
            )
        return name, names.base_model(backend), None
    adapter = around.adapters.get(step.adapter_ref.name)
    if adapter is None:
        raise Unresolved(
            Reason.ADAPTER_NOT_FOUND,
            f'there is no LoraAdapter "{step.adapter_ref.name}" in this namespace; create it or change adapterRef',
        )
    if adapter.spec.backend_ref.name != name:
        raise Unresolved(
            Reason.ADAPTER_OF_OTHER_BACKEND,
            f'adapter "{adapter.metadata.name}" belongs to backend "{adapter.spec.backend_ref.name}", '
            f'but the route uses backend "{name}"; make both the same',
        )
    check_adapter_backend(adapter, backend)
    return name, names.served_adapter(adapter), adapter.metadata.name


def check_adapter_backend(adapter: v1alpha1.LoraAdapter, backend: v1alpha1.ModelBackend | None) -> None:
    """Raise `Unresolved` unless the backend exists and can serve the adapter."""
    name = adapter.spec.backend_ref.name
    if backend is None:
        raise Unresolved(
            Reason.BACKEND_NOT_FOUND,
            f'there is no ModelBackend "{name}" in this namespace; create it or change backendRef',
        )
    if backend.spec.vllm is None or backend.spec.vllm.lora is None:
        raise Unresolved(
            Reason.BACKEND_HAS_NO_ADAPTERS,
            f'backend "{name}" serves no adapters; give it spec.vllm.lora or use another backend',
        )


def _backend(backend: v1alpha1.ModelBackend) -> policy.Backend:
    if backend.spec.vllm is not None:
        return policy.Backend(
            name=backend.metadata.name,
            url=f"http://{names.backend_host(backend)}:{keys.PORT_BACKEND_SERVICE}",
            protocols=(policy.WireProtocol.OPENAI, policy.WireProtocol.ANTHROPIC),
            credential=policy.Credential.POD_TOKEN,
            counts_bytes=True,
            max_model_len=backend.spec.vllm.max_model_len,
            prices=_prices(backend),
        )
    external = backend.spec.external
    if external is None:
        raise Unresolved(
            Reason.INVALID,
            f'backend "{backend.metadata.name}" has neither spec.vllm nor spec.external; set one',
        )
    return policy.Backend(
        name=backend.metadata.name,
        url=external.url.rstrip("/"),
        protocols=(policy.WireProtocol(external.protocol.value),),
        credential=policy.Credential.API_KEY if external.credential_ref else policy.Credential.NONE,
        credential_file=names.backend_credential(backend.metadata.name) if external.credential_ref else None,
        counts_bytes=True,
        ca_file=names.backend_authority(backend.metadata.name) if external.ca_ref else None,
        prices=_prices(backend),
    )


def _prices(backend: v1alpha1.ModelBackend) -> tuple[policy.Price, ...]:
    nano = quantities.nano_dollars
    return tuple(
        policy.Price(
            models=tuple(price.models),
            input=nano(price.input),
            cached_input=nano(price.cached_input or price.input),
            cache_write=nano(price.cache_write or price.input),
            output=nano(price.output),
        )
        for price in backend.spec.prices
    )


def _tool(tool: v1alpha1.ToolSpec) -> policy.Tool:
    limits = tool.limits.model_dump(exclude={"timeout"})
    timeout = None if tool.limits.timeout is None else quantities.milliseconds(tool.limits.timeout)
    common = policy.Tool(
        name=tool.name,
        url="",
        limits=policy.ToolLimits(**limits, timeout_ms=timeout),
        credential_file=names.tool_credential(tool.name) if tool.credential_ref else None,
        credential_header=tool.credential_header.lower(),
        on_refusal=tool.on_refusal,
    )
    if tool.mcp is not None:
        return common.model_copy(update={"url": tool.mcp.url, "allow": tuple(tool.allow)})
    if tool.http is None:
        raise Unresolved(Reason.INVALID, f'tool "{tool.name}" has neither mcp nor http; set one')
    routes = tuple(policy.HttpRoute(methods=tuple(route.methods), path=route.path) for route in tool.http.allow)
    return common.model_copy(update={"url": tool.http.url, "protocol": policy.ToolProtocol.HTTP, "routes": routes})


def _budget(budget: v1alpha1.BudgetSpec, limits: tuple[policy.Limit, ...]) -> policy.Budget:
    return policy.Budget(
        limits=limits,
        on_limit=budget.on_limit,
        warn_at_percent=budget.warn_at_percent,
        on_exhausted=budget.on_exhausted,
        refusal_status=budget.refusal_status,
    )


def _limits(agent: v1alpha1.AgentType, budgets: Budgets) -> tuple[policy.Limit, ...]:
    """Return an agent's own limits, then those of the AgentBudget that it shares."""
    namespace, name, spec = agent.metadata.namespace, agent.metadata.name, agent.spec.budget
    found = []
    for limit in spec.limits:
        account = "" if limit.scope is v1alpha1.Scope.POD else f"{namespace}.agent.{name}.{limit.name}"
        found.append(_limit(limit, v1alpha1.Scope(limit.scope), account))
    if spec.budget_ref is not None:
        budget = budgets.get(spec.budget_ref.name)
        if budget is None:
            raise Unresolved(
                Reason.BUDGET_NOT_FOUND,
                f'there is no AgentBudget "{spec.budget_ref.name}" in this namespace; create it or change budgetRef',
            )
        for shared in budget.spec.limits:
            account = f"{namespace}.budget.{budget.metadata.name}.{shared.name}"
            named = shared.model_copy(update={"name": f"{budget.metadata.name}/{shared.name}"})
            found.append(_limit(named, v1alpha1.Scope.NAMESPACE, account))
    return tuple(found)


def _limit(limit: v1alpha1.LimitSpec, scope: v1alpha1.Scope, account: str) -> policy.Limit:
    return policy.Limit(
        name=limit.name,
        resource=limit.resource,
        max=quantities.amount(limit.max, limit.resource),
        window=limit.window,
        scope=scope,
        account=account,
    )
