"""What a call must not ask for, because the sidecar could not measure or control it. Pure.

Work that goes on after the answer, and what the provider does between two turns of its own (tools, summaries of a long
conversation), take tokens that no bound of the call covers: they are refused if a limit counts tokens. What a provider
bills above the price of its model is refused if a limit counts costs. Tool servers that the provider would call are
always refused, because the policy decides which tools an agent has, not a call's body. Our own engines do none of that.
Members for the traffic between engines, and a better place in an engine's queue, are refused too.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from agenttype_api.policy import Credential
from agenttype_api.v1alpha1 import RuleTarget

from agenttype_sidecar.errors import HostedTool, MalformedBody, Unmetered
from agenttype_sidecar.llm.body import Body, written
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.llm.paths import Operation
from agenttype_sidecar.policy.policies import Active

#: Tools that the caller runs itself; the provider runs every other type.
_CALLERS: Final = frozenset({
    "function", "custom", "namespace", "local_shell", "apply_patch", "computer", "computer_use_preview",
})  # fmt: skip
#: Anthropic versions the names of its tools: `bash_20250124`.
_CALLERS_OF_ANTHROPIC: Final = re.compile(r"custom|(?:bash|text_editor|computer|memory)_[0-9]+")
_SERVERS: Final = ("mcp", "mcp_toolset")
#: By these, engines take prompts and caches from other engines, at any address that the caller gives.
_OF_ENGINES: Final = ("kv_transfer_params", "ec_transfer_params")
#: By these, routers answer with another model than the one that policy chose.
_OF_ROUTERS: Final = ("models", "fallbacks")
#: By these, providers search for an answer.
_LOOKING_UP: Final = ("web_search_options", "search_parameters", "plugins")
#: Members that can cost more than the model's price, and their values that do not.
_DEARER: Final[dict[str, tuple[Any, ...]]] = {
    "service_tier": ("auto", "default", "flex", "standard", "standard_only"),
    "speed": ("standard",),
    "inference_geo": ("global",),
    "modalities": (["text"],),
    "audio": (),
    "provider": (),
}


def check(call: LlmCall, active: Active) -> None:
    """Refuse a call that cannot be measured or controlled.

    Raises:
        HostedTool: It asks the provider to call tool servers.
        Unmetered: It asks for work that is not measured, and a limit or a rule needs to see it.
        MalformedBody: It sets a member that callers must not set.
    """
    body = call.body
    responses = call.endpoint.operation is Operation.RESPONSES
    if "request_id" in body.members and (responses or call.is_ours):
        # An engine runs the call and keeps the response under this id, and would overwrite another one's of that name.
        raise MalformedBody("request_id is not taken here; the backend names calls and responses itself")
    _check_engines(body)
    if responses:
        _check_background(call, active)
    if _may_leave(call):
        _check_outside(call, active)


def _check_outside(call: LlmCall, active: Active) -> None:
    """Refuse what only an external provider would do."""
    body = call.body
    kinds = [kind for kind in map(_kind, _offered(call)) if not _is_callers(kind, call.endpoint.operation)]
    if "mcp_servers" in body.members or any(kind in _SERVERS for kind in kinds):
        raise HostedTool(
            "the call asks the provider to call tool servers itself; this agent's tools are those of its policy, "
            "which it reaches through the sidecar"
        )
    if _names(body, _OF_ROUTERS):
        raise MalformedBody("this agent's policy decides which models may answer; name one model, as model")
    if call.output == 0 and call.endpoint.operation is not Operation.EMBEDDINGS:
        raise MalformedBody("a bound of 0 tokens is not accepted, because to some servers it means no bound; ask for 1")
    if call.is_free:
        return
    if active.prices.limits:
        _check_prices(body)
    if active.counts_tokens and (kinds or _names(body, _LOOKING_UP)):
        raise Unmetered(
            "the call asks for a tool that the provider runs, whose tokens have no bound; this agent's tokens are "
            "limited"
        )
    if active.counts_tokens and _compacts(body.get("context_management")):
        raise Unmetered(
            "the call asks the provider to summarise the conversation, which takes tokens that no bound of the call "
            "holds; this agent's tokens are limited"
        )


def _names(body: Body, names: tuple[str, ...]) -> bool:
    return any(body.get(name) is not None for name in names)


def _may_leave(call: LlmCall) -> bool:
    """Return whether an external provider may answer, directly or as a fallback."""
    return not call.is_ours or any(
        fallback.target.backend.credential is not Credential.POD_TOKEN for fallback in call.target.fallback
    )


def _check_engines(body: Body) -> None:
    extra = body.get("vllm_xargs")
    said = [name for name in _OF_ENGINES if body.get(name) is not None or (isinstance(extra, dict) and name in extra)]
    if said:
        raise MalformedBody(f"{said[0]} is not accepted: it is for the traffic between engines")
    priority = body.get("priority")
    if priority is not None and not (isinstance(priority, int) and priority >= 0):
        raise MalformedBody(
            "priority must be a whole number of 0 or more; a call can let others go first, not pass them"
        )


def _check_prices(body: Body) -> None:
    for name, plain in _DEARER.items():
        value = body.get(name)
        if value is not None and value not in plain:
            raise Unmetered(
                f"the call asks by {name} for what the provider bills above the price of its model; this agent's costs "
                "are limited"
            )


def _compacts(management: Any) -> bool:
    """Return whether a provider is asked to summarise; its other operations only shorten the conversation."""
    return bool(management) and "compact" in written(management)


def _check_background(call: LlmCall, active: Active) -> None:
    if call.body.get("background") in (None, False):
        return
    if active.counts_tokens:
        raise Unmetered(
            "background responses report their usage only later, and this agent's tokens are limited; ask without "
            "background"
        )
    if active.rulebook.looks_at(RuleTarget.LLM_RESPONSE):
        raise Unmetered("a rule of this agent checks every answer; ask without background")


def _offered(call: LlmCall) -> Iterator[Any]:
    """Return every tool that a call offers to the model, in any place."""
    yield from _tools(call.body.get("tools"))
    items = call.body.get("input") if call.endpoint.operation is Operation.RESPONSES else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):  # such as `additional_tools`, where Codex has all its tools
            yield from _tools(item.get("tools"))


def _tools(tools: Any) -> Iterator[Any]:
    for tool in tools if isinstance(tools, list) else ():
        yield tool
        if isinstance(tool, dict):  # a namespace contains tools
            yield from _tools(tool.get("tools"))


def _kind(tool: Any) -> str:
    kind = tool.get("type", "custom") if isinstance(tool, dict) else ""
    return kind if isinstance(kind, str) else ""


def _is_callers(kind: str, operation: Operation) -> bool:
    if operation in (Operation.MESSAGES, Operation.COUNT):
        return _CALLERS_OF_ANTHROPIC.fullmatch(kind) is not None
    return kind in _CALLERS
