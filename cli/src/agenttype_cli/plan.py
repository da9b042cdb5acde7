"""From manifests to one local run: which agent, its policy, and the files that its sidecar reads. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agenttype_api import compile as compiler
from agenttype_api import names, policy, v1alpha1
from agenttype_api.schema import SecretKeyRef

from agenttype_cli.errors import BadManifest, BadPolicy, Missing
from agenttype_cli.manifests import Manifests


@dataclass(frozen=True)
class RunPlan:
    """One local run.

    Attributes:
        agent: the AgentType.
        document: its policy.
        credentials: path below the credentials folder → the manifests' reference to its content.
    """

    agent: v1alpha1.AgentType
    document: policy.Policy
    credentials: dict[str, SecretKeyRef]


def chosen_agent(manifests: Manifests, name: str | None) -> v1alpha1.AgentType:
    """Return the agent to run.

    Raises:
        BadManifest: there is none, or there are several and no name, or none of that name.
    """
    if name is not None and name in manifests.agents:
        return manifests.agents[name]
    there = ", ".join(sorted(manifests.agents))
    if name is not None:
        raise BadManifest(f"the files have no AgentType {name!r}; they have {there or 'none'}")
    if not manifests.agents:
        raise BadManifest("the files have no AgentType; add the file that holds it with -f")
    if len(manifests.agents) > 1:
        raise BadManifest(f"the files have several AgentTypes ({there}); choose one with --agent")
    return next(iter(manifests.agents.values()))


def run_plan(
    agent: v1alpha1.AgentType, manifests: Manifests, addresses: Mapping[str, str], nats: str | None
) -> RunPlan:
    """Compile the agent's policy for this machine.

    Args:
        agent: the agent to run.
        manifests: what it can refer to.
        addresses: URLs of backends that are reached elsewhere from here than from a pod.
        nats: URL of the NATS server that counts shared limits.

    Raises:
        BadPolicy: the manifests do not fit together.
        Missing: a backend that runs in a cluster has no address here.
    """
    around = compiler.Surroundings(manifests.backends, manifests.adapters, manifests.budgets, nats)
    try:
        compiled = compiler.agent_policy(agent, around)
    except compiler.Unresolved as error:
        raise BadPolicy(error.message.replace("in this namespace", "among the files")) from error
    except ValueError as error:
        raise BadPolicy(str(error)) from error
    unknown = set(addresses) - {backend.name for backend in compiled.backends}
    if unknown:
        raise BadPolicy(f"--backend names {', '.join(sorted(unknown))}, which the agent does not use")
    backends = tuple(_here(backend, addresses.get(backend.name)) for backend in compiled.backends)
    document = compiled.model_copy(update={"backends": backends})
    return RunPlan(agent, document, dict(_credentials(agent, document, manifests)))


def _here(backend: policy.Backend, address: str | None) -> policy.Backend:
    if address is not None:
        # SDKs are given the address with the version, so people write it here too.
        return backend.model_copy(update={"url": address.rstrip("/").removesuffix("/v1")})
    if backend.credential is policy.Credential.POD_TOKEN:
        raise Missing(
            f"ModelBackend {backend.name!r} runs in a cluster; say where it is reached from here, for example "
            f"--backend {backend.name}=http://127.0.0.1:8000"
        )
    return backend


def _credentials(
    agent: v1alpha1.AgentType, document: policy.Policy, manifests: Manifests
) -> Iterator[tuple[str, SecretKeyRef]]:
    for backend in document.backends:
        external = manifests.backends[backend.name].spec.external
        if external and external.credential_ref:
            yield names.backend_credential(backend.name), external.credential_ref
        if external and external.ca_ref:
            yield names.backend_authority(backend.name), external.ca_ref
    for tool in agent.spec.tools:
        if tool.credential_ref:
            yield names.tool_credential(tool.name), tool.credential_ref
