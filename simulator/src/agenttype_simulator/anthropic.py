"""`POST /v1/messages` and `/v1/messages/count_tokens`: chat in Anthropic's protocol, as vLLM translates it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from agenttype_simulator import chat, checks, conversation, text
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
_REASONS = {"stop": "end_turn", "length": "max_tokens"}


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
        "stream": stream,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True} if stream else None,
    }


def _message(call: Call, answers: tuple[tuple[text.Token, ...], ...]) -> dict[str, Any]:
    answer = answers[0]
    reply = {
        "id": call.number,
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "".join(token.text for token in answer)}],
        "model": call.model,
        "stop_reason": _reason(answer[-1]),
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
    spent, begun, last = 0, False, None
    async with aclosing(service.tokens(call)) as steps:
        async for _, token in steps:
            if not spent:
                yield _start(call)
            spent, last = spent + 1, token
            if token.text and not begun:
                begun = True
                yield {"type": "content_block_start", "content_block": {"type": "text", "text": ""}, "index": 0}
            if token.text:
                delta = {"type": "text_delta", "text": token.text}
                yield {"type": "content_block_delta", "delta": delta, "index": 0}
    if begun:
        yield {"type": "content_block_stop", "index": 0}
    ending = {"stop_reason": _reason(last), "stop_sequence": last.stop if last else None}
    yield {
        "type": "message_delta",
        "delta": ending,
        "usage": {"input_tokens": call.prompt_tokens, "output_tokens": spent},
    }
    yield {"type": "message_stop"}


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


def _reason(last: text.Token | None) -> str | None:
    if last is None or last.finish is None:
        return None
    return "stop_sequence" if last.stop else _REASONS[last.finish]
