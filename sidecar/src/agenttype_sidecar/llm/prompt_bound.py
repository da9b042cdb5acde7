"""Bounds the length of a call's prompt by its body. Pure.

Bytes bound tokens if the whole prompt is in the body, as text, and is written out once. They do not bound what comes
from elsewhere or may be written out more often: images and files, what a backend keeps, templates and their variables.
JSON that a template writes again (tools and tool calls) can become longer, with blanks, line breaks and numbers in
full: `surplus` returns by how much.
"""

import re
from typing import Any, Final

import orjson

from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.paths import Endpoint, Operation

_TEXT_PARTS: Final = frozenset({
    "text", "refusal", "thinking", "redacted_thinking", "tool_use", "tool_result",
    "input_text", "output_text", "reasoning_text", "summary_text",
})  # fmt: skip
#: Members that make a part more than text, whatever its type: engines look for them if there is no type.
_MEDIA: Final = frozenset({
    "uuid", "source", "file", "file_id", "image_url", "input_image", "image_pil", "image_embeds", "audio_url",
    "input_audio", "audio_embeds", "video_url", "video_embeds", "prompt_embeds", "tool_reference",
})  # fmt: skip
#: Items of a Responses input that contain their text, and do not refer to something kept elsewhere.
_TEXT_ITEMS: Final = frozenset({
    "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning",
})  # fmt: skip
#: Members that make a prompt longer than its body: text that the backend keeps, numbers instead of text, padding, or
#: the caller's own template.
ELSEWHERE: Final = frozenset({
    "chat_template", "previous_response_id", "conversation", "previous_input_messages", "prompt_embeds", "padding",
    "container",
})  # fmt: skip
#: A template variable of at most this length is no longer than the JSON around it.
_SHORT: Final = 16
#: A number written in full can grow by so many characters: `1e15` has fifteen zeros, and a point and a zero.
_NUMBER: Final = 15
_EXPONENT: Final = re.compile(r"[0-9][eE]")
#: The most bytes that a template makes of one byte of JSON, except line breaks: `1e15,` becomes 20.
WIDEST: Final = 4


def is_all_text(body: Body, endpoint: Endpoint) -> bool:
    """Return whether the whole prompt is in the body as text; anything unknown counts as more than text."""
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
    """Return the tokens beyond one per byte that JSON can take when a template writes it again; None: any number."""
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


def _is_plain(variables: Any) -> bool:
    """Return whether all variables of a template are so short that it does not matter how often it writes them."""
    if variables is None:
        return True
    return isinstance(variables, dict) and all(
        value is None or isinstance(value, bool) or (isinstance(value, str) and len(value) <= _SHORT)
        for value in variables.values()
    )


def _calls(turn: dict[str, Any]) -> int:
    """Return the surplus of the tool calls in one turn of a conversation, in any protocol."""
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
    if opened == 1 and not _EXPONENT.search(arguments):  # the usual case: a blank and a line break around each member
        return 4 * (arguments.count(",") + 1) + arguments.count(":")
    try:
        return _rewritten(orjson.loads(arguments)) - len(arguments)
    except orjson.JSONDecodeError:
        return len(arguments) * WIDEST  # not JSON to us, but others may be less strict


def _rewritten(value: Any) -> int:
    """Return how long JSON can be as a template writes it.

    Two blanks per level stand for the four that some templates write: two blanks are never two tokens.
    """
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return len(text) + text.count(b".0") * _NUMBER + text.count(b"e-")  # some write 1e-7 as 1e-07


def _is_text_input(value: Any) -> bool:
    if not isinstance(value, list):
        return not isinstance(value, dict)
    return all(
        isinstance(item, dict)
        and _is_one_of(item.get("type", "message" if "role" in item else ""), _TEXT_ITEMS)
        and _is_text([item])
        and _is_text([{"content": item.get("output")}])
        for item in value
    )


def _is_plain_input(value: Any) -> bool:
    """Return whether an input is text, tokens, or a list of either."""
    if not isinstance(value, list):
        return not isinstance(value, dict)
    return not any(isinstance(each, dict) or _holds_more(each) for each in value)


def _holds_more(each: Any) -> bool:
    return isinstance(each, list) and any(isinstance(part, dict | list) for part in each)


def _is_text(messages: Any) -> bool:
    """Return whether all of a conversation is text; anything unknown counts as more than text."""
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
