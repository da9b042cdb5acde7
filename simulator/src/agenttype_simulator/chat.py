"""`POST /v1/chat/completions`: the reply in one piece and in chunks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from agenttype_simulator import checks, conversation, logprobs, text, toolcalls
from agenttype_simulator.checks import Field
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.sampling import FIELDS, Budget, check_stream, sampling
from agenttype_simulator.service import Call, Service, usage

SCHEMA = (
    {"messages": Field(checks.array, required=True, nullable=False)}
    | FIELDS
    | {"max_completion_tokens": Field(checks.integer), "logprobs": Field(checks.boolean)}
)


async def complete(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one chat call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), SCHEMA)
    conversation.check(body["messages"])
    call = prepared(service, exchange, body)
    if call.sampling.stream:
        await exchange.events(_frames(service, call))
    else:
        await exchange.json(await _full(service, call))


def prepared(service: Service, exchange: Exchange, body: dict[str, Any]) -> Call:
    """Check a chat body whose fields are read, and make up its answers."""
    check_stream(body)
    target = service.target(body.get("model"))
    wants_choice = body.get("tools") and body.get("tool_choice") in (None, "auto")
    if wants_choice and not service.options.auto_tools:
        raise Refusal('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    prompt = conversation.prompt(body["messages"])
    late = body.get("max_completion_tokens")
    budget = Budget(
        prompt=text.count(prompt),
        context=service.options.max_model_len,
        asked=late if late is not None else body.get("max_tokens"),
        param="max_tokens" if late is None else "max_completion_tokens",
    )
    return service.call(exchange, "chatcmpl-", target, [prompt], sampling(body, budget))


async def _full(service: Service, call: Call) -> dict[str, Any]:
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
        "prompt_token_ids": _prompt_ids(call),
        "prompt_text": None,
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


def _choice(call: Call, index: int, answer: tuple[text.Token, ...]) -> dict[str, Any]:
    told = toolcalls.message(answer, call.sampling.tools)
    calls = {"tool_calls": told["tool_calls"]} if "tool_calls" in told else {}
    return {
        "index": index,
        "message": {
            "role": "assistant",
            "content": told["content"],
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            **calls,
            "reasoning": None,
        },
        "logprobs": _logprobs(call, answer),
        "finish_reason": call.sampling.tools.finish(answer, answer[-1].finish),
        "stop_reason": answer[-1].stop,
        "token_ids": [token.number for token in answer] if call.sampling.token_ids else None,
        "routed_experts": None,
    }


async def _frames(service: Service, call: Call) -> AsyncGenerator[bytes, None]:
    async with aclosing(_chunks(service, call)) as parts:
        async for chunk in parts:
            yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


async def _chunks(service: Service, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    """The role first, then one chunk per token that is told, then usage when asked for."""
    wants, spent = call.sampling, [0] * call.sampling.n
    numbers = [toolcalls.new_number() for _ in spent]
    async with aclosing(service.tokens(call)) as steps:
        async for index, token in steps:
            if not any(spent):
                for choice in range(wants.n):
                    yield _opening(call, choice)
            spent[index] += 1
            delta = _delta(service, token, numbers[index])
            if delta is not None:
                yield _piece(service, call, index, token, delta) | _continuous(call, spent[index])
    if wants.include_usage:
        final = {"choices": [], "usage": usage(call.prompt_tokens, sum(spent))}
        yield _head(call) | final | {"system_fingerprint": service.fingerprint}


def _delta(service: Service, token: text.Token, number: str) -> dict[str, Any] | None:
    """What a token adds to the message; None for one that is counted and not told."""
    if token.call is not None:
        told = toolcalls.delta(token, number)
        return {} if told is None and token.finish else told
    # A server that parses tool calls leaves an empty last word out.
    return {"content": token.text} if token.text or not service.options.auto_tools else {}


def _head(call: Call) -> dict[str, Any]:
    return {
        "id": call.number,
        "object": "chat.completion.chunk",
        "created": call.created,
        "model": call.model,
    }


def _opening(call: Call, index: int) -> dict[str, Any]:
    delta = {"role": "assistant", "content": ""}
    choices = [{"index": index, "delta": delta, "logprobs": None, "finish_reason": None}]
    ids = {"prompt_token_ids": _prompt_ids(call), "prompt_text": None}
    return _head(call) | {"choices": choices} | _continuous(call, 0) | ids


def _piece(service: Service, call: Call, index: int, token: text.Token, delta: dict[str, Any]) -> dict[str, Any]:
    answer = call.job.answers[index]
    choice: dict[str, Any] = {
        "index": index,
        "delta": delta,
        "logprobs": _logprobs(call, (token,)),
        "finish_reason": call.sampling.tools.finish(answer, token.finish),
    }
    if token.finish:
        choice["stop_reason"] = token.stop
    choice["token_ids"] = [token.number] if call.sampling.token_ids else None
    chunk = _head(call) | {"choices": [choice]}
    if token.finish and not call.sampling.include_usage:
        chunk["system_fingerprint"] = service.fingerprint
    return chunk


def _continuous(call: Call, spent: int) -> dict[str, Any]:
    if not call.sampling.continuous_usage:
        return {}
    return {"usage": usage(call.prompt_tokens, spent) | {"completion_tokens_details": None}}


def _logprobs(call: Call, tokens: tuple[text.Token, ...]) -> dict[str, Any] | None:
    top = call.sampling.top_logprobs
    return None if top is None else logprobs.chat(tokens, top)


def _prompt_ids(call: Call) -> list[int] | None:
    return text.numbers(call.prompts[0]) if call.sampling.token_ids else None
