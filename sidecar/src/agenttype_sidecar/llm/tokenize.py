"""The request by which an engine counts a call's prompt, as its `/tokenize` takes it. Pure."""

from typing import Any, Final

from agenttype_sidecar.llm.body import Body, written
from agenttype_sidecar.llm.paths import Endpoint, Operation
from agenttype_sidecar.llm.prompt_bound import ELSEWHERE, WIDEST

#: Members that shape a chat's prompt; `/tokenize` understands the same members.
_PROMPT_MEMBERS: Final = (
    "messages",
    "tools",
    "add_generation_prompt",
    "add_special_tokens",
    "continue_final_message",
    "chat_template_kwargs",
    "media_io_kwargs",
    "mm_processor_kwargs",
)
#: Members that `/tokenize` does not know, but about which a template may write something.
_UNCOUNTED: Final = ("tool_choice", "response_format", "thinking", "output_config", "reasoning", "text")
#: Tokens that a template writes about all of these, besides their own content.
_UNCOUNTED_TOKENS: Final = 256


def question(body: Body, endpoint: Endpoint, model: str) -> bytes | None:
    """Return the body for the engine's `/tokenize`, None if that cannot render the call's prompt.

    Args:
        body: the call's.
        endpoint: where it goes.
        model: the served name.
    """
    get = body.get
    content: dict[str, Any]
    if not ELSEWHERE.isdisjoint(body.members):
        return None
    if endpoint.operation is Operation.CHAT:
        content = {name: get(name) for name in _PROMPT_MEMBERS if get(name) is not None} | _variables(body)
    elif endpoint.operation in (Operation.COMPLETIONS, Operation.EMBEDDINGS):
        prompt = get("prompt" if endpoint.operation is Operation.COMPLETIONS else "input")
        if not isinstance(prompt, str):
            return None
        content = {"prompt": prompt}
    else:
        messages = _input_as_chat(body) if endpoint.operation is Operation.RESPONSES else _as_chat(body)
        if messages is None:
            return None
        content = {"messages": messages} | _variables(body)
    return written({"model": model, **content}).encode()


def uncounted(body: Body) -> int:
    """Return the most tokens that a prompt can have beyond those that `/tokenize` counts."""
    named = [value for name in _UNCOUNTED if (value := body.get(name))]
    return len(written(named)) * WIDEST + _UNCOUNTED_TOKENS if named else 0


def _variables(body: Body) -> dict[str, Any]:
    """Return the variables of the template: the caller's, and those that an engine derives from other members."""
    given = body.get("chat_template_kwargs")
    variables = dict(given) if isinstance(given, dict) else {}
    for name in ("documents", "reasoning_effort"):
        if body.get(name) is not None:
            variables[name] = body.get(name)
    if "reasoning_effort" in variables:
        variables.setdefault("enable_thinking", variables["reasoning_effort"] != "none")
    return {"chat_template_kwargs": variables} if variables else {}


def _as_chat(body: Body) -> list[Any] | None:
    """Return a Messages conversation as chat messages, None if it has more than plain text."""
    system, messages = body.get("system"), body.get("messages")
    if body.get("tools") or not isinstance(messages, list) or not (system is None or isinstance(system, str)):
        return None
    if not all(isinstance(message, dict) and isinstance(message.get("content"), str) for message in messages):
        return None
    return [{"role": "system", "content": system}, *messages] if system else messages


def _input_as_chat(body: Body) -> list[Any] | None:
    """Return a Responses input as chat messages, None if it has more than plain text."""
    instructions, value = body.get("instructions"), body.get("input")
    if body.get("tools") or "prompt" in body.members:
        return None
    turns = [{"role": "user", "content": value}] if isinstance(value, str) else value
    if not isinstance(turns, list) or not all(_is_plain_turn(turn) for turn in turns):
        return None
    return [{"role": "system", "content": instructions}, *turns] if isinstance(instructions, str) else turns


def _is_plain_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.keys() == {"role", "content"} and isinstance(turn["content"], str)
