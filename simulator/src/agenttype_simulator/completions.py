"""`POST /v1/completions`: plain prompts, one or several, in one piece and in chunks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from agenttype_simulator import checks, text
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.sampling import FIELDS, Budget, sampling
from agenttype_simulator.service import Call, Service, usage

SCHEMA = checks.Schema({}, FIELDS)
DEFAULT_MAX_TOKENS = 16


async def complete(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one completion call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), SCHEMA)
    if not body.get("prompt"):
        raise Refusal("Either prompt or prompt_embeds must be provided and non-empty.", param="prompt")
    target = service.target(body.get("model"))
    prompt = _one_prompt(body["prompt"])
    budget = Budget(
        prompt=text.count(prompt),
        context=service.options.max_model_len,
        asked=DEFAULT_MAX_TOKENS if body.get("max_tokens") is None else body["max_tokens"],
        param="max_tokens",
    )
    call = service.call(exchange, "cmpl", target, prompt, sampling(body, budget))
    if call.sampling.stream:
        await exchange.events(_frames(service, call))
    else:
        await exchange.json(await _full(service, call))


async def _full(service: Service, call: Call) -> dict[str, Any]:
    answers = await service.answers(call)
    return {
        "id": call.number,
        "object": "text_completion",
        "created": call.created,
        "model": call.model,
        "choices": [_choice(call, index, answer) for index, answer in enumerate(answers)],
        "service_tier": None,
        "system_fingerprint": service.fingerprint,
        "usage": usage(call.prompt_tokens, sum(map(len, answers)))
        | {"prompt_tokens_details": None, "completion_tokens_details": None},
        "kv_transfer_params": None,
        "ec_transfer_params": None,
        "metrics": None,
    }


async def _frames(service: Service, call: Call) -> AsyncGenerator[bytes, None]:
    async with aclosing(_chunks(service, call)) as parts:
        async for chunk in parts:
            yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


async def _chunks(service: Service, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    wants, spent = call.sampling, [0] * call.sampling.n
    head = {"id": call.number, "object": "text_completion", "created": call.created, "model": call.model}
    async with aclosing(service.tokens(call)) as steps:
        async for index, token in steps:
            spent[index] += 1
            chunk = head | {"choices": [_part(call, index, token, first=spent[index] == 1)]}
            if wants.continuous_usage:
                chunk["usage"] = usage(call.prompt_tokens, spent[index])
            if token.finish and not wants.include_usage:
                chunk["system_fingerprint"] = service.fingerprint
            yield chunk
    if wants.include_usage:
        yield head | {
            "choices": [],
            "usage": usage(call.prompt_tokens, sum(spent)),
            "system_fingerprint": service.fingerprint,
        }


def _part(call: Call, index: int, token: text.Token, *, first: bool) -> dict[str, Any]:
    ids = call.sampling.token_ids
    return {
        "index": index,
        "text": token.text,
        "logprobs": None,
        "finish_reason": token.finish,
        "stop_reason": token.stop,
        "prompt_token_ids": text.numbers(call.prompt) if ids and first else None,
        "token_ids": [token.number] if ids else None,
    }


def _choice(call: Call, index: int, answer: tuple[text.Token, ...]) -> dict[str, Any]:
    ids = call.sampling.token_ids
    return {
        "index": index,
        "text": "".join(token.text for token in answer),
        "logprobs": None,
        "finish_reason": answer[-1].finish,
        "stop_reason": answer[-1].stop,
        "token_ids": [token.number for token in answer] if ids else None,
        "prompt_logprobs": None,
        "prompt_token_ids": text.numbers(call.prompt) if ids else None,
        "routed_experts": None,
    }


def _one_prompt(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    raise Refusal("the simulator takes one prompt as a string", 501)
