"""What a call may not ask for, because policy could not follow it there. Pure.

Work that goes on after the answer, and tools that the provider runs between two turns of its own, take tokens that no
bound of the call holds: they are refused where a limit counts tokens. Tool servers that the provider would call are
refused always: which tools an agent has is decided here, not by a call's body. Our own engines run none of that.
"""

from typing import Any, Final

from agenttype_api.policy import Credential
from agenttype_api.v1alpha1 import RuleOn

from agenttype_sidecar.errors import HostedTool, MalformedBody, Unmetered
from agenttype_sidecar.llm.call import Call
from agenttype_sidecar.llm.paths import Operation
from agenttype_sidecar.policies import Active

#: Tools that the caller runs itself; every other type is the provider's to run.
_CALLERS: Final = frozenset({
    "function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview",
})  # fmt: skip
#: Anthropic versions the names of its tools: `bash_20250124`.
_CALLERS_OF_ANTHROPIC: Final = ("custom", "bash_", "text_editor_", "computer_", "memory_")
_SERVERS: Final = ("mcp", "mcp_toolset")


def check(call: Call, active: Active) -> None:
    """Refuse a call that cannot be followed.

    Raises:
        HostedTool: It asks the provider to call tool servers.
        Unmetered: It asks for work that nobody measures, and a limit or a rule needs to see it.
        MalformedBody: It gives a name that is not its to give.
    """
    body = call.body
    responses = call.endpoint.operation is Operation.RESPONSES
    if "request_id" in body.members and (responses or call.is_ours):
        # An engine runs the call under it, and keeps the response, over whatever else somebody has under that name.
        raise MalformedBody("request_id is not taken here; the backend names calls and responses itself")
    if responses:
        _check_background(call, active)
    if not _may_leave(call):
        return
    kinds = [kind for kind in map(_kind, _tools(body.get("tools"))) if not _is_callers(kind, call.endpoint.operation)]
    if "mcp_servers" in body.members or any(kind in _SERVERS for kind in kinds):
        raise HostedTool(
            "the call asks the provider to call tool servers itself; this agent's tools are those of its policy, "
            "which it reaches through the sidecar"
        )
    if active.counts_tokens and not call.is_free and (kinds or body.get("web_search_options") is not None):
        raise Unmetered(
            "the call asks for a tool that the provider runs, and what that takes is bounded by nothing; this agent's "
            "tokens are limited"
        )


def _may_leave(call: Call) -> bool:
    """Return whether a provider outside may answer, be it when our engine does not."""
    return not call.is_ours or any(
        link.target.backend.credential is not Credential.POD_TOKEN for link in call.target.fallback
    )


def _check_background(call: Call, active: Active) -> None:
    if call.body.get("background") in (None, False):
        return
    if active.counts_tokens:
        raise Unmetered(
            "background responses tell what they took only later, and this agent's tokens are limited; ask without "
            "background"
        )
    if active.rulebook.looks_at(RuleOn.LLM_RESPONSE):
        raise Unmetered("a rule of this agent looks at every answer; ask without background")


def _tools(tools: Any) -> list[Any]:
    return tools if isinstance(tools, list) else []


def _kind(tool: Any) -> str:
    kind = tool.get("type", "custom") if isinstance(tool, dict) else ""
    return kind if isinstance(kind, str) else ""


def _is_callers(kind: str, operation: Operation) -> bool:
    if operation in (Operation.MESSAGES, Operation.COUNT):
        return kind.startswith(_CALLERS_OF_ANTHROPIC)
    return kind in _CALLERS
