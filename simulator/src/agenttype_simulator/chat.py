"""`POST /v1/chat/completions`: the reply in one piece and in chunks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from agenttype_simulator import checks, text
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.sampling import FIELDS, Budget, sampling
from agenttype_simulator.service import Call, Service, usage

SCHEMA = checks.Schema({"messages": checks.LIST}, FIELDS | {"max_completion_tokens": checks.INTEGER})
DONE = b"data: [DONE]\n\n"


async def complete(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one chat call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), SCHEMA)
    call = prepared(service, exchange, body)
    if call.sampling.stream:
        await exchange.events(_frames(service, call))
    else:
        await exchange.json(await full(service, call))


def prepared(service: Service, exchange: Exchange, body: dict[str, Any]) -> Call:
    """Check a chat body and make up its answers."""
    target = service.target(body.get("model"))
    if body.get("tool_choice") == "auto" or (body.get("tools") and body.get("tool_choice") is None):
        raise Refusal('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    prompt = prompt_of(body["messages"])
    late = body.get("max_completion_tokens")
    budget = Budget(
        prompt=text.count(prompt),
        context=service.options.max_model_len,
        asked=late if late is not None else body.get("max_tokens"),
        param="max_tokens" if late is None else "max_completion_tokens",
    )
    return service.call(exchange, "chatcmpl", target, prompt, sampling(body, budget))


def prompt_of(messages: list[Any]) -> str:
    """The text that a chat becomes before it is counted."""
    return text.rendered(_spoken(message) for message in messages)


async def full(service: Service, call: Call) -> dict[str, Any]:
    """The whole reply."""
    answers = await service.answers(call)
    return {
        "id": call.number,
        "object": "chat.completion",
        "created": call.created,
        "model": call.model,
        "choices": [_choice(call, index, answer) for index, answer in enumerate(answers)],
        "service_tier": None,
        "system_fingerprint": service.fingerprint,
        "usage": usage(call.prompt_tokens, sum(map(len, answers)))
        | {"prompt_tokens_details": None, "completion_tokens_details": None},
        "prompt_logprobs": None,
        "prompt_token_ids": text.numbers(call.prompt) if call.sampling.token_ids else None,
        "prompt_text": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


async def chunks(service: Service, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    """The reply piece by piece: the role first, then one chunk per token, then usage when asked for."""
    wants, spent = call.sampling, [0] * call.sampling.n
    first = True
    async with aclosing(service.tokens(call)) as steps:
        async for index, token in steps:
            if first:
                first = False
                for choice in range(wants.n):
                    yield _opening(call, choice)
            spent[index] += 1
            yield _piece(service, call, index, token, spent[index])
    if wants.include_usage:
        yield _head(call) | {
            "choices": [],
            "usage": usage(call.prompt_tokens, sum(spent)),
            "system_fingerprint": service.fingerprint,
        }


async def _frames(service: Service, call: Call) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks(service, call)) as parts:
        async for chunk in parts:
            yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield DONE


def _head(call: Call) -> dict[str, Any]:
    return {
        "id": call.number,
        "object": "chat.completion.chunk",
        "created": call.created,
        "model": call.model,
    }


def _opening(call: Call, index: int) -> dict[str, Any]:
    delta = {"role": "assistant", "content": ""}
    chunk = _head(call) | {"choices": [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}]}
    if call.sampling.continuous_usage:
        chunk["usage"] = usage(call.prompt_tokens, 0) | {"completion_tokens_details": None}
    ids = text.numbers(call.prompt) if call.sampling.token_ids else None
    return chunk | {"prompt_token_ids": ids, "prompt_text": None}


def _piece(service: Service, call: Call, index: int, token: text.Token, spent: int) -> dict[str, Any]:
    choice: dict[str, Any] = {
        "index": index,
        "delta": {"content": token.text},
        "logprobs": None,
        "finish_reason": token.finish,
    }
    if token.finish:
        choice["stop_reason"] = token.stop
    choice["token_ids"] = [token.number] if call.sampling.token_ids else None
    chunk = _head(call) | {"choices": [choice]}
    if call.sampling.continuous_usage:
        chunk["usage"] = usage(call.prompt_tokens, spent) | {"completion_tokens_details": None}
    if token.finish and not call.sampling.include_usage:
        chunk["system_fingerprint"] = service.fingerprint
    return chunk


def _choice(call: Call, index: int, answer: tuple[text.Token, ...]) -> dict[str, Any]:
    return {
        "index": index,
        "message": {
            "role": "assistant",
            "content": "".join(token.text for token in answer),
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "reasoning": None,
        },
        "logprobs": None,
        "finish_reason": answer[-1].finish,
        "stop_reason": answer[-1].stop,
        "token_ids": [token.number for token in answer] if call.sampling.token_ids else None,
        "routed_experts": None,
    }


def _spoken(message: Any) -> tuple[str, str]:
    """The role and the text of a message; what is no text (images, calls) is not read."""
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refusal("each message needs a role")
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") or "" for part in content if isinstance(part, dict)]
        return message["role"], "\n".join(parts)
    return message["role"], content or ""
