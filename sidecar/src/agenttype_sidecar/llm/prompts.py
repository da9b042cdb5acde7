"""How long the prompt of a call can be, as its body tells. Pure.

Bytes bound tokens where the whole prompt stands in the body, as text, and is written out once. Whatever may come from
elsewhere, or may be written out more often than it stands there, bounds nothing: images and files, what a backend
keeps, templates and their variables. JSON that a template writes anew, tools and calls of tools, can come out longer
than it went in, with blanks, line breaks and numbers in full: `surplus` says by how much.
"""

import re
from typing import Any, Final

import orjson

from agenttype_sidecar.llm.body import Body, written
from agenttype_sidecar.llm.paths import Endpoint, Operation

_TEXT_PARTS: Final = frozenset({
    "text", "refusal", "thinking", "redacted_thinking", "tool_use", "tool_result",
    "input_text", "output_text", "reasoning_text", "summary_text",
})  # fmt: skip
#: Members that make more than text of a part whatever its type says: engines look for them where there is none.
_MEDIA: Final = frozenset({
    "uuid", "source", "file", "file_id", "image_url", "input_image", "image_pil", "image_embeds", "audio_url",
    "input_audio", "audio_embeds", "video_url", "video_embeds", "prompt_embeds", "tool_reference",
})  # fmt: skip
#: Items of a Responses input that are what they say, not names of what lies elsewhere.
_TEXT_ITEMS: Final = frozenset({
    "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning",
})  # fmt: skip
#: What makes a prompt longer than its body: text that the backend keeps, numbers in the place of text, filling, or a
#: template of the caller's own.
ELSEWHERE: Final = frozenset({
    "chat_template", "previous_response_id", "conversation", "previous_input_messages", "prompt_embeds", "padding",
    "container",
})  # fmt: skip
#: A variable of a template that is no longer than this is no longer than what surrounds it.
_SHORT: Final = 16
#: By so much a number can grow that is written in full: `1e15` has fifteen zeros, and a point and a zero.
_NUMBER: Final = 15
_EXPONENT: Final = re.compile(r"[0-9][eE]")
#: Of one byte of JSON a template makes so many at most, but for line breaks: of `1e15,` 20.
_WIDEST: Final = 4
#: Members that shape a chat's prompt; `/tokenize` understands the same ones.
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
#: Members that `/tokenize` does not know, though a template may write something about them.
_UNTOLD: Final = ("tool_choice", "response_format", "thinking", "output_config", "reasoning", "text")
#: Tokens that a template writes about all of these, apart from what they say themselves.
_UNTOLD_TOKENS: Final = 256


def says_it_all(body: Body, endpoint: Endpoint) -> bool:
    """Return whether the whole prompt stands in the body, as text; whatever is not known to be counts as more."""
    if not ELSEWHERE.isdisjoint(body.members) or not _is_plain(body.get("chat_template_kwargs")):
        return False
    match endpoint.operation:
        case Operation.RESPONSES:
            return "prompt" not in body.members and _is_text_input(body.get("input"))
        case Operation.EMBEDDINGS:
            return "messages" not in body.members and _is_plain_input(body.get("input"))
        case Operation.COMPLETIONS:
            return _is_plain_input(body.get("prompt"))
        case _:
            return _is_text(body.get("messages")) and _is_text([{"content": body.get("system")}])


def surplus(body: Body) -> int | None:
    """Return the tokens beyond one a byte that JSON can take where a template writes it anew; None: any number."""
    more = 0
    tools = body.get("tools")
    try:
        if tools:
            start, end = body.places["tools"]
            more += _rewritten(tools) - (end - start)
        for name in ("messages", "input"):
            turns = body.get(name)
            if isinstance(turns, list):
                more += sum([_calls(turn) for turn in turns if isinstance(turn, dict)])
    except orjson.JSONEncodeError:  # half a surrogate pair, or a huge number
        return None
    return max(0, more)


def tokenize_body(body: Body, endpoint: Endpoint, model: str) -> bytes | None:
    """Return the body for the engine's `/tokenize`, None where it cannot render what the call would.

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


def untold(body: Body) -> int:
    """Return the most tokens that a prompt can have beyond what `/tokenize` counts of it."""
    named = [value for name in _UNTOLD if (value := body.get(name))]
    return len(written(named)) * _WIDEST + _UNTOLD_TOKENS if named else 0


def _variables(body: Body) -> dict[str, Any]:
    """Return the variables of the template: the caller's, and those that an engine makes of other members."""
    given = body.get("chat_template_kwargs")
    variables = dict(given) if isinstance(given, dict) else {}
    for name in ("documents", "reasoning_effort"):
        if body.get(name) is not None:
            variables[name] = body.get(name)
    if "reasoning_effort" in variables:
        variables.setdefault("enable_thinking", variables["reasoning_effort"] != "none")
    return {"chat_template_kwargs": variables} if variables else {}


def _is_plain(variables: Any) -> bool:
    """Return whether a template's variables are so short that it does not matter how often it writes them."""
    if variables is None:
        return True
    return isinstance(variables, dict) and all(
        value is None or isinstance(value, bool) or (isinstance(value, str) and len(value) <= _SHORT)
        for value in variables.values()
    )


def _calls(turn: dict[str, Any]) -> int:
    """Return the surplus of the calls of tools in one turn of a conversation, in whichever protocol."""
    more = 0
    called = turn.get("tool_calls")
    if isinstance(called, list):
        functions = [call.get("function") for call in called if isinstance(call, dict)]
        more += sum([_arguments(function.get("arguments")) for function in functions if isinstance(function, dict)])
    if "arguments" in turn:
        more += _arguments(turn["arguments"])
    content = turn.get("content")
    if isinstance(content, list):
        uses = [part["input"] for part in content if isinstance(part, dict) and isinstance(part.get("input"), dict)]
        more += sum([_rewritten(use) - len(orjson.dumps(use)) for use in uses])
    return more


def _arguments(arguments: Any) -> int:
    """Return the surplus of arguments, which are JSON in a string."""
    if not isinstance(arguments, str) or not arguments:
        return 0
    opened = arguments.count("{") + arguments.count("[")
    if opened == 1 and not _EXPONENT.search(arguments):  # as almost always: a blank and a line break around each member
        return 4 * (arguments.count(",") + 1) + arguments.count(":")
    try:
        return _rewritten(orjson.loads(arguments)) - len(arguments)
    except orjson.JSONDecodeError:
        return len(arguments) * _WIDEST  # to us it is no JSON; others may be less strict


def _rewritten(value: Any) -> int:
    """Return how long JSON can be as a template writes it.

    Two blanks a level stand for the four that some templates write: two blanks are never two tokens.
    """
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return len(text) + text.count(b".0") * _NUMBER + text.count(b"e-")  # some write 1e-7 as 1e-07


def _as_chat(body: Body) -> list[Any] | None:
    """Return a Messages conversation as chat messages, None where it has more than plain text."""
    system, messages = body.get("system"), body.get("messages")
    if body.get("tools") or not isinstance(messages, list) or not (system is None or isinstance(system, str)):
        return None
    if not all(isinstance(message, dict) and isinstance(message.get("content"), str) for message in messages):
        return None
    return [{"role": "system", "content": system}, *messages] if system else messages


def _input_as_chat(body: Body) -> list[Any] | None:
    """Return a Responses input as chat messages, None where it has more than plain text."""
    instructions, asked = body.get("instructions"), body.get("input")
    if body.get("tools") or "prompt" in body.members:
        return None
    turns = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    if not isinstance(turns, list) or not all(_is_plain_turn(turn) for turn in turns):
        return None
    return [{"role": "system", "content": instructions}, *turns] if isinstance(instructions, str) else turns


def _is_plain_turn(turn: Any) -> bool:
    return isinstance(turn, dict) and turn.keys() == {"role", "content"} and isinstance(turn["content"], str)


def _is_text_input(asked: Any) -> bool:
    if not isinstance(asked, list):
        return not isinstance(asked, dict)
    return all(
        isinstance(item, dict)
        and _is_one_of(item.get("type", "message" if "role" in item else ""), _TEXT_ITEMS)
        and _is_text([item])
        and _is_text([{"content": item.get("output")}])
        for item in asked
    )


def _is_plain_input(asked: Any) -> bool:
    """Return whether an input is text, tokens, or a list of either."""
    if not isinstance(asked, list):
        return not isinstance(asked, dict)
    return not any(isinstance(each, dict) or _holds_more(each) for each in asked)


def _holds_more(each: Any) -> bool:
    return isinstance(each, list) and any(isinstance(part, dict | list) for part in each)


def _is_text(messages: Any) -> bool:
    """Return whether all of a conversation is text; whatever is not known to be counts as more."""
    if not isinstance(messages, list):
        return True
    for message in messages:
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        if isinstance(content, list):
            if not all(_is_text_part(part) for part in content):
                return False
        elif isinstance(content, dict):
            return False
        if message.get("audio") is not None:  # the name of something that the provider keeps
            return False
    return True


def _is_text_part(part: Any) -> bool:
    if isinstance(part, str):
        return True
    if not isinstance(part, dict) or not _MEDIA.isdisjoint(part):
        return False
    if not _is_one_of(part.get("type", "text"), _TEXT_PARTS):
        return False
    inner = part.get("content")
    return not isinstance(inner, list) or all(_is_text_part(each) for each in inner)


def _is_one_of(kind: Any, known: frozenset[str]) -> bool:
    return isinstance(kind, str) and kind in known  # a list or an object has no place in a set
