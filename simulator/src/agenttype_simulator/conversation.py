"""The messages of a chat: which are refused, and the text that they become."""

from typing import Any

from agenttype_simulator import checks, text
from agenttype_simulator.errors import Refusal

# A message that names no role fits none of the shapes that vLLM tries; it reports what each of them misses.
_MISSED = (
    "ChatCompletionDeveloperMessageParam.role",
    "ChatCompletionSystemMessageParam.role",
    "ChatCompletionUserMessageParam.role",
    "ChatCompletionAssistantMessageParam.role",
    "ChatCompletionToolMessageParam.role",
    "ChatCompletionToolMessageParam.tool_call_id",
    "ChatCompletionFunctionMessageParam.name",
    "ChatCompletionFunctionMessageParam.role",
    "CustomChatCompletionMessageParam.role",
    "Message.author",
    "Message.role",
)


def check(messages: list[Any]) -> None:
    """Refuse a message that names no role."""
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            names = [f"body.messages.{place}.{missed}" for missed in _MISSED]
            mistakes = [checks.described("missing", name, "Field required", message) for name in names]
            raise checks.refusal(mistakes, names[0])


def prompt(messages: list[Any]) -> str:
    """The text that a chat becomes before it is counted; what is no text (images, calls) is not read."""
    if not messages:
        raise Refusal("Cannot apply chat template to an empty conversation. Provide at least one message.")
    return text.rendered((message["role"], _said(message.get("content"))) for message in messages)


def _said(content: Any) -> str:
    if isinstance(content, list):
        # A tool's result, in Anthropic's protocol, holds content of its own.
        parts = [part for part in content if isinstance(part, dict)]
        return "\n".join(part.get("text") or _said(part.get("content")) for part in parts)
    return content or ""
