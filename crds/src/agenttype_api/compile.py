"""From kinds to documents: pure functions that the operator and the command line both use.

What cannot be resolved raises `Unresolved`, whose reason is a condition's reason and whose message tells the fix.
"""

from collections.abc import Iterable, Mapping

from agenttype_api import keys, names, policy, v1alpha1
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


def agent_policy(agent: v1alpha1.AgentType, backends: Backends, adapters: Adapters) -> policy.Policy:
    """Compile an agent's policy document.

    Args:
        agent: the AgentType.
        backends: the ModelBackends of its namespace by name.
        adapters: the LoraAdapters of its namespace by name.

    Raises:
        Unresolved: a route names a backend or an adapter that does not exist or does not fit.
    """
    routes = [_route(route, backends, adapters) for route in agent.spec.models]
    used = dict.fromkeys(route.backend for route in routes)
    return policy.Policy(
        identity=policy.Identity(namespace=agent.metadata.namespace, name=agent.metadata.name, uid=agent.metadata.uid),
        backends=tuple(_backend(backends[name]) for name in used),
        routes=tuple(routes),
        tools=tuple(
            policy.Tool(name=tool.name, url=tool.mcp.url, allow=tuple(tool.allow)) for tool in agent.spec.tools
        ),
        budget=policy.Budget(
            limits=tuple(_limit(limit) for limit in agent.spec.budget.limits),
            on_limit=agent.spec.budget.on_limit,
        ),
    )


def agent_adapters(agent: v1alpha1.AgentType, adapters: Adapters) -> list[v1alpha1.LoraAdapter]:
    """Return the adapters that an agent's routes use, in their order, each once; absent ones are left out."""
    used = dict.fromkeys(route.adapter_ref.name for route in agent.spec.models if route.adapter_ref)
    return [adapters[name] for name in used if name in adapters]


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
    for route in agent.spec.models:
        if route.backend_ref.name != backend.metadata.name:
            continue
        if route.adapter_ref is None:
            models.add(names.base_model(backend))
        elif route.adapter_ref.name in served:
            models.add(served[route.adapter_ref.name])
    return tuple(sorted(models))


def _route(route: v1alpha1.ModelRoute, backends: Backends, adapters: Adapters) -> policy.Route:
    name = route.backend_ref.name
    backend = backends.get(name)
    if backend is None:
        raise Unresolved(
            Reason.BACKEND_NOT_FOUND,
            f'there is no ModelBackend "{name}" in this namespace; create it or change backendRef',
        )
    match = tuple(route.match)
    if route.adapter_ref is None:
        model = names.base_model(backend) if backend.spec.vllm else None
        return policy.Route(match=match, backend=name, model=model)
    adapter = adapters.get(route.adapter_ref.name)
    if adapter is None:
        raise Unresolved(
            Reason.ADAPTER_NOT_FOUND,
            f'there is no LoraAdapter "{route.adapter_ref.name}" in this namespace; create it or change adapterRef',
        )
    if adapter.spec.backend_ref.name != name:
        raise Unresolved(
            Reason.ADAPTER_OF_OTHER_BACKEND,
            f'adapter "{adapter.metadata.name}" belongs to backend "{adapter.spec.backend_ref.name}", '
            f'but the route uses backend "{name}"; make both the same',
        )
    check_adapter_backend(adapter, backend)
    return policy.Route(match=match, backend=name, model=names.served_adapter(adapter), adapter=adapter.metadata.name)


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
        credential_file=backend.metadata.name if external.credential_ref else None,
        counts_bytes=True,
    )


def _limit(limit: v1alpha1.Limit) -> policy.Limit:
    return policy.Limit(
        name=limit.name, resource=limit.resource, max=int(limit.max), window=limit.window, scope=limit.scope
    )
