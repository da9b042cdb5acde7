"""`POST /v1/messages` and `/v1/messages/count_tokens`: chat in Anthropic's protocol, as vLLM translates it."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import orjson

from agenttype_simulator import chat, checks, conversation, text, toolcalls
from agenttype_simulator.checks import Field
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.service import Call, Service

_COUNT = {
    "model": Field(checks.string, required=True, nullable=False),
    "messages": Field(checks.array, required=True, nullable=False),
}
_MESSAGES = _COUNT | {
    "max_tokens": Field(checks.integer, required=True, nullable=False),
    "stop_sequences": Field(checks.array),
    "stream": Field(checks.boolean),
    "temperature": Field(checks.number),
    "top_p": Field(checks.number),
}


async def messages(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one Messages call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _MESSAGES)
    if not body["model"]:
        raise checks.value_refusal("model", "Model is required", body["model"])
    if body["max_tokens"] <= 0:
        raise checks.value_refusal("max_tokens", "max_tokens must be positive", body["max_tokens"])
    try:
        call = chat.prepared(service, exchange, _as_chat(body))
    except Refusal as refusal:
        await exchange.json(refusal.anthropic_body(), refusal.status)
        return
    if call.sampling.stream:
        await exchange.events(_frames(service, call))
    else:
        await exchange.json(_message(call, await service.answers(call)))


async def count_tokens(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Count a prompt without running it."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _COUNT)
    try:
        service.target(body["model"])
        spent = text.count(conversation.prompt(_as_chat(body)["messages"]))
    except Refusal as refusal:
        await exchange.json(refusal.anthropic_body(), refusal.status)
        return
    await exchange.json({"input_tokens": spent, "context_management": {"original_input_tokens": spent}})


def _as_chat(body: dict[str, Any]) -> dict[str, Any]:
    system = body.get("system")
    opening = [{"role": "system", "content": system}] if system else []
    stream = bool(body.get("stream"))
    return {
        "model": body["model"],
        "messages": [*opening, *body["messages"]],
        "max_completion_tokens": body.get("max_tokens"),
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "stop": body.get("stop_sequences"),
        "tools": body.get("tools"),
        "tool_choice": _tool_choice(body.get("tool_choice") or {}),
        "stream": stream,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True} if stream else None,
    }


def _tool_choice(chosen: dict[str, Any]) -> Any:
    """The same choice in the words of the OpenAI protocol."""
    if chosen.get("type") == "tool":
        return {"type": "function", "function": {"name": chosen.get("name")}}
    return {"any": "required", "none": "none", "auto": "auto"}.get(chosen.get("type", ""))


def _message(call: Call, answers: tuple[tuple[text.Token, ...], ...]) -> dict[str, Any]:
    answer = answers[0]
    told = toolcalls.message(answer, call.sampling.tools)
    content: list[dict[str, Any]] = [{"type": "text", "text": told["content"]}] if told["content"] else []
    for made in told.get("tool_calls", []):
        function = made["function"]
        arguments = orjson.loads(function["arguments"])
        content.append({"type": "tool_use", "id": made["id"], "name": function["name"], "input": arguments})
    reply = {
        "id": call.number,
        "type": "message",
        "role": "assistant",
        "content": content or [{"type": "text", "text": ""}],
        "model": call.model,
        "stop_reason": _reason(answer),
        "usage": {"input_tokens": call.prompt_tokens, "output_tokens": len(answer)},
    }
    if answer[-1].stop:
        reply["stop_sequence"] = answer[-1].stop
    return reply


async def _frames(service: Service, call: Call) -> AsyncGenerator[bytes, None]:
    async with aclosing(_events(service, call)) as events:
        async for event in events:
            yield b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n"


async def _events(service: Service, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    spent, blocks = 0, _Blocks()
    async with aclosing(service.tokens(call)) as steps:
        async for _, token in steps:
            if not spent:
                yield _start(call)
            spent += 1
            for event in blocks.of(token):
                yield event
    for event in blocks.close():
        yield event
    answer = call.job.answers[0]
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": _reason(answer), "stop_sequence": answer[-1].stop},
        "usage": {"input_tokens": call.prompt_tokens, "output_tokens": spent},
    }
    yield {"type": "message_stop"}


class _Blocks:
    """The content blocks of a stream: words in one, a tool call in the next."""

    def __init__(self) -> None:
        self._index = 0
        self._open = ""

    def of(self, token: text.Token) -> Iterator[dict[str, Any]]:
        """The events of one token."""
        if token.text:
            yield from self._begin("text", {"type": "text", "text": ""})
            yield self._delta({"type": "text_delta", "text": token.text})
        elif token.call and token.call.name:
            block = {"type": "tool_use", "id": toolcalls.new_number(), "name": token.call.name, "input": {}}
            yield from self._begin("tool_use", block)
        elif token.call and token.call.arguments:
            yield self._delta({"type": "input_json_delta", "partial_json": token.call.arguments})

    def close(self) -> Iterator[dict[str, Any]]:
        """End the open block, if there is one."""
        if self._open:
            yield {"type": "content_block_stop", "index": self._index}
            self._index, self._open = self._index + 1, ""

    def _begin(self, kind: str, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self._open != kind:
            yield from self.close()
            self._open = kind
            yield {"type": "content_block_start", "content_block": block, "index": self._index}

    def _delta(self, delta: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_delta", "delta": delta, "index": self._index}


def _start(call: Call) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": call.number,
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": call.model,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": call.prompt_tokens, "output_tokens": 0},
    }
    return {"type": "message_start", "message": message}


def _reason(answer: tuple[text.Token, ...]) -> str:
    last = answer[-1]
    if last.finish == "length":
        return "max_tokens"
    if any(token.call for token in answer):
        return "tool_use"
    return "stop_sequence" if last.stop else "end_turn"
