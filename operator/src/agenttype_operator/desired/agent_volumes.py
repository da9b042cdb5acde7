"""Volumes that we add to an agent's pod."""

from agenttype_api import keys, names, v1alpha1

from agenttype_operator.desired.metadata import Raw


def agent_volumes(agent: v1alpha1.AgentType, credentials: Raw | None) -> list[Raw]:
    """Return our volumes of an agent's pod; only the library is ever mounted into the agent.

    An emptyDir is writable for every uid that mounts it, so the sidecar and the init container need no fsGroup, which
    would change the user's own volumes too. What keeps the ledger from the agent is that the agent does not mount it.
    """
    volumes: list[Raw] = [
        {"name": keys.VOLUME_POLICY, "configMap": {"name": names.policy_config_map(agent)}},
        {
            "name": keys.VOLUME_TOKEN,
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": keys.TOKEN_AUDIENCE,
                            "expirationSeconds": keys.TOKEN_SECONDS,
                            "path": keys.TOKEN_FILE,
                        }
                    }
                ]
            },
        },
        {"name": keys.VOLUME_LEDGER, "emptyDir": {}},
    ]
    if credentials:
        volumes.append(credentials)
    if agent.spec.injection.wrapper:
        volumes.append({"name": keys.VOLUME_LIB, "emptyDir": {}})
    return volumes


def credentials_volume(backends: list[v1alpha1.ModelBackend]) -> Raw | None:
    """Volume of the API keys of external backends, one file a backend, named as it; None where none has a key.

    The kubelet reads the Secrets: the operator never sees one.
    """
    sources = [
        {"secret": {"name": reference.name, "items": [{"key": reference.key, "path": backend.metadata.name}]}}
        for backend in sorted(backends, key=lambda backend: backend.metadata.name)
        if backend.spec.external and (reference := backend.spec.external.credential_ref)
    ]
    if not sources:
        return None
    return {"name": keys.VOLUME_CREDENTIALS, "projected": {"sources": sources}}
