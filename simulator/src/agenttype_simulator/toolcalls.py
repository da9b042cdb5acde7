"""Tool calls in an answer, in the shapes of the OpenAI protocol: whole in a message, in pieces in a stream."""

import secrets
from typing import Any

from agenttype_simulator.text import Token


class Choice:
    """What the caller allows: `forced` when it asked for a call and not for text."""

    def __init__(self, body: dict[str, Any]) -> None:
        chosen = body.get("tool_choice")
        self.named = isinstance(chosen, dict)
        self.forced = self.named or chosen == "required"

    def finish(self, answer: tuple[Token, ...], finish: str | None) -> str | None:
        """The reason to tell: a natural end after a call is `tool_calls`, unless the caller named the tool."""
        called = any(token.call for token in answer)
        return "tool_calls" if called and finish == "stop" and not self.named else finish


def message(answer: tuple[Token, ...], choice: Choice) -> dict[str, Any]:
    """The content and calls of a whole message; a call without words has no content."""
    said = "".join(token.text for token in answer)
    calls = _calls(answer)
    if not calls:
        return {"content": said}
    return {"content": said or ("" if choice.forced else None), "tool_calls": calls}


def delta(token: Token, number: str) -> dict[str, Any] | None:
    """What a token of a call adds to the stream; None when nothing of it is told."""
    if token.call is None or not (token.call.name or token.call.arguments):
        return None
    if token.call.name:
        part = {"id": number, "type": "function", "index": 0, "function": {"name": token.call.name}}
    else:
        part = {"index": 0, "function": {"arguments": token.call.arguments}}
    return {"content": None, "tool_calls": [part]}


def new_number() -> str:
    """An id of a call, as vLLM forms it."""
    return f"chatcmpl-tool-{secrets.token_hex(8)}"


def _calls(answer: tuple[Token, ...]) -> list[dict[str, Any]]:
    parts = [token.call for token in answer if token.call]
    name = "".join(part.name for part in parts)
    if not name:
        return []
    arguments = "".join(part.arguments for part in parts)
    return [{"id": new_number(), "type": "function", "function": {"name": name, "arguments": arguments}}]
