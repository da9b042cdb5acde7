"""The environment that the agent gets: what the operator writes into its container, and a local run sets.

Four classes, in the order they appear. Routing: ours win, for they decide where calls go. Defaults: only where the
user set nothing. The user's own: in their order. Lists: ours in front of the user's, whose value (or valueFrom) moves
to `AGENTTYPE_USER_<NAME>` and is referred to as `$(AGENTTYPE_USER_<NAME>)`; a reference is written only to a name
that we defined ourselves, since the kubelet leaves unknown references as literal text.
"""

from collections.abc import Iterable
from typing import Any, Final

from agenttype_api import keys
from agenttype_api.v1alpha1 import AgentType, ToolSpec, Wrapper

_LOOPBACK: Final = "127.0.0.1,localhost,::1"
#: Settings without which a well-known framework tries to reach the internet at start.
_DEFAULTS: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_AGENTS_DISABLE_TRACING": "1"}


class Endpoints:
    """Where the sidecar listens; the numeric address spares the agent DNS and a choice between IPv4 and IPv6."""

    def __init__(self, data: int = keys.PORT_DATA, control: int = keys.PORT_CONTROL) -> None:
        self.data = f"http://127.0.0.1:{data}"
        self.control = f"http://127.0.0.1:{control}{keys.CONTROL_API}"


def tool_variable(tool: str) -> str:
    """Name of the variable that holds a tool server's URL: `AGENTTYPE_TOOL_<NAME>_URL`."""
    return f"{keys.ENV_PREFIX}TOOL_{tool.upper().replace('-', '_')}_URL"


def tool_path(tool: ToolSpec) -> str:
    """Return the path under which the sidecar answers for a tool server."""
    return f"{keys.MCP_PATH if tool.mcp else keys.TOOLS_PATH}/{tool.name}"


def routing(agent: AgentType, endpoints: Endpoints) -> dict[str, str]:
    """Return the variables that send the agent's calls to the sidecar; they replace the user's.

    Sources of the names: the SDKs' own documentation; `OPENAI_BASE_URL` ends in /v1, `ANTHROPIC_BASE_URL` does not.
    """
    openai, anthropic = f"{endpoints.data}/openai/v1", f"{endpoints.data}/anthropic"
    return {
        keys.ENV_NAME: agent.metadata.name,
        keys.ENV_NAMESPACE: agent.metadata.namespace,
        keys.ENV_CONTROL_URL: endpoints.control,
        keys.ENV_LLM_SIDECAR_URL: endpoints.data,
        "OPENAI_BASE_URL": openai,
        "OPENAI_API_BASE": openai,
        "HOSTED_VLLM_API_BASE": openai,
        "ANTHROPIC_BASE_URL": anthropic,
        "ANTHROPIC_API_BASE": anthropic,
        "ANTHROPIC_API_URL": anthropic,
        "OPENAI_API_KEY": keys.PLACEHOLDER_KEY,
        "HOSTED_VLLM_API_KEY": keys.PLACEHOLDER_KEY,
        "ANTHROPIC_API_KEY": keys.PLACEHOLDER_KEY,
        keys.ENV_MCP_URL: f"{endpoints.data}{keys.MCP_PATH}",
        **{tool_variable(tool.name): endpoints.data + tool_path(tool) for tool in agent.spec.tools},
    }


def lists(agent: AgentType, wrapper_python: str = keys.WRAPPER_PYTHON) -> dict[str, tuple[str, str]]:
    """Return the list variables that we extend: name → (our part, separator)."""
    found = {"NO_PROXY": (_LOOPBACK, ","), "no_proxy": (_LOOPBACK, ",")}
    if Wrapper.PYTHON in agent.spec.injection.wrapper:
        found["PYTHONPATH"] = (wrapper_python, ":")
    return found


def merge(
    user: Iterable[dict[str, Any]],
    agent: AgentType,
    endpoints: Endpoints,
    wrapper_python: str = keys.WRAPPER_PYTHON,
) -> list[dict[str, Any]]:
    """Return the agent container's whole `env`: ours merged with what the user wrote.

    Args:
        user: the container's own `env` entries, values or valueFrom, in their order.
        agent: whose environment it is.
        endpoints: where the sidecar listens.
        wrapper_python: folder of the wrapper's Python code.
    """
    theirs = list(user)
    defined = {entry["name"] for entry in theirs}
    ours, extended = routing(agent, endpoints), lists(agent, wrapper_python)
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in ours.items()]
    env += [{"name": name, "value": value} for name, value in _DEFAULTS.items() if name not in defined]
    env += [{"name": name, "value": part} for name, (part, _) in extended.items() if name not in defined]
    for entry in theirs:
        name = entry["name"]
        if name in ours:
            continue
        if name in extended:
            part, separator = extended[name]
            kept = keys.ENV_USER_PREFIX + name
            env.append({**entry, "name": kept})
            env.append({"name": name, "value": f"{part}{separator}$({kept})"})
        else:
            env.append(entry)
    return env
