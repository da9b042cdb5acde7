"""What an engine said where the request scripts it: words, and calls of tools, whole or gathered from a stream.

Only there must two engines say the same; elsewhere a model chooses, and a CPU of another kind lets it choose otherwise.
"""

import json
from collections.abc import Iterator
from typing import Any

from support import bounds


def said(result: dict[str, Any]) -> dict[str, Any] | None:
    """The `words` of an exchange and the `arguments` of its calls by name; None where the model was free."""
    body = result["request"].get("body")
    if not isinstance(body, dict) or not bounds.is_scripted(body) or result["reply"].get("status") != 200:
        return None
    words, calls, name = "", {}, ""
    for kind, piece in _pieces(result["reply"]):
        if kind == "words":
            words += piece
        elif kind == "name":
            name = piece
        elif piece:
            calls[name] = calls.get(name, "") + piece
    # The script of Anthropic's protocol is JSON: the words stand in quotes. The stand-in's mark ends without a blank.
    return {"words": words.strip('" '), "arguments": {name: _parsed(text) for name, text in calls.items()}}


def _parsed(arguments: str) -> Any:
    """Arguments as JSON, whose blanks do not matter; as text where they were cut off."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _pieces(reply: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Words, names of tools and pieces of arguments, as they came."""
    for part in [reply["json"]] if "json" in reply else [event["data"] for event in reply.get("events", [])]:
        if isinstance(part, dict):
            yield from _of_chat(part)
            yield from _of_messages(part)
            yield from _of_responses(part)


def _of_chat(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for choice in part.get("choices", []):
        told = choice.get("message") or choice.get("delta") or {}
        yield "words", told.get("content") or ""
        for call in told.get("tool_calls") or []:
            function = call.get("function", {})
            yield from ((kind, function[kind]) for kind in ("name", "arguments") if kind in function)


def _of_messages(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    blocks = (
        part.get("content", []) if part.get("type") == "message" else [part.get("content_block"), part.get("delta")]
    )
    for block in blocks:
        if not isinstance(block, dict):
            continue
        yield "words", block.get("text", "")
        if "name" in block:
            yield "name", block["name"]
        yield "arguments", block.get("partial_json", "") or _whole_input(block)


def _whole_input(block: dict[str, Any]) -> str:
    return json.dumps(block["input"]) if block.get("input") else ""


def _of_responses(part: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if part.get("type") == "response.output_text.delta":
        yield "words", part.get("delta", "")
    for item in part.get("output", []):
        for content in item.get("content", []):
            yield "words", content.get("text", "")
