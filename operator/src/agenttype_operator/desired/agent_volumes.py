"""Volumes that we add to an agent's pod."""

from agenttype_api import keys, names, schema, v1alpha1

from agenttype_operator.desired.metadata import Raw


def agent_volumes(agent: v1alpha1.AgentType, credentials: Raw | None, *, shares: bool) -> list[Raw]:
    """Return our volumes of an agent's pod; only the library is ever mounted into the agent.

    An emptyDir is writable for every uid that mounts it, so the sidecar and the init container need no fsGroup, which
    would change the user's own volumes too. What keeps the ledger from the agent is that the agent does not mount it.

    Args:
        agent: whose pod it is.
        credentials: volume of credentials, where there are any.
        shares: whether there is a store of shared limits: its token is then always there, so that a limit may begin
            to be shared without a restart.
    """
    tokens = [_token(keys.TOKEN_AUDIENCE, keys.TOKEN_FILE)]
    if shares:
        tokens.append(_token(keys.NATS_AUDIENCE, keys.NATS_TOKEN_FILE))
    volumes: list[Raw] = [
        {"name": keys.VOLUME_POLICY, "configMap": {"name": names.policy_config_map(agent)}},
        {"name": keys.VOLUME_TOKEN, "projected": {"sources": tokens}},
        {"name": keys.VOLUME_LEDGER, "emptyDir": {}},
    ]
    if credentials:
        volumes.append(credentials)
    if agent.spec.injection.wrapper:
        volumes.append({"name": keys.VOLUME_LIB, "emptyDir": {}})
    return volumes


def _token(audience: str, file: str) -> Raw:
    return {"serviceAccountToken": {"audience": audience, "expirationSeconds": keys.TOKEN_SECONDS, "path": file}}


def credentials_volume(agent: v1alpha1.AgentType, backends: list[v1alpha1.ModelBackend]) -> Raw | None:
    """Volume of what the sidecar proves itself with, and whom it trusts; None where there is nothing of it.

    The kubelet reads the Secrets: the operator never sees one.
    """
    files: list[tuple[schema.SecretKeyRef | None, str]] = []
    for backend in sorted(backends, key=lambda backend: backend.metadata.name):
        if backend.spec.external:
            name = backend.metadata.name
            files.append((backend.spec.external.credential_ref, names.backend_credential(name)))
            files.append((backend.spec.external.ca_ref, names.backend_authority(name)))
    files += [(tool.credential_ref, names.tool_credential(tool.name)) for tool in agent.spec.tools]
    sources = [
        {"secret": {"name": reference.name, "items": [{"key": reference.key, "path": path}]}}
        for reference, path in files
        if reference
    ]
    if not sources:
        return None
    return {"name": keys.VOLUME_CREDENTIALS, "projected": {"sources": sources}}
