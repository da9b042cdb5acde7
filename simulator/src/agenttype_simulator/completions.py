"""`POST /v1/completions`: plain prompts, one or several, as text or token ids, in one piece and in chunks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson

from agenttype_simulator import checks, logprobs, text
from agenttype_simulator.checks import Field
from agenttype_simulator.errors import BadParameter
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.sampling import FIELDS, Budget, check_stream, sampling
from agenttype_simulator.service import Call, Service, usage

SCHEMA = FIELDS | {"n": Field(checks.integer, nullable=False), "logprobs": Field(checks.integer)}
_DEFAULT_MAX_TOKENS = 16


async def complete(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one completion call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), SCHEMA)
    check_stream(body)
    if not body.get("prompt"):
        raise BadParameter("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
    target = service.target(body.get("model"))
    texts = prompts(body["prompt"])
    budget = Budget(
        prompt=max(map(text.count, texts)),
        context=service.options.max_model_len,
        asked=_DEFAULT_MAX_TOKENS if body.get("max_tokens") is None else body["max_tokens"],
        param="max_tokens",
    )
    wants = sampling(body | {"top_logprobs": body.get("logprobs")}, budget)
    call = service.call(exchange, "cmpl-", target, texts, wants)
    if wants.stream:
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


def _choice(call: Call, index: int, answer: tuple[text.Token, ...]) -> dict[str, Any]:
    wants = call.sampling
    return {
        "index": index,
        "text": "".join(token.text for token in answer),
        "logprobs": None if wants.top_logprobs is None else logprobs.completion(answer, wants.top_logprobs),
        "finish_reason": answer[-1].finish,
        "stop_reason": answer[-1].stop,
        "token_ids": [token.number for token in answer] if wants.token_ids else None,
        "prompt_logprobs": None,
        "prompt_token_ids": _prompt_ids(call, index),
        "routed_experts": None,
    }


async def _frames(service: Service, call: Call) -> AsyncGenerator[bytes, None]:
    async with aclosing(_chunks(service, call)) as parts:
        async for chunk in parts:
            yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"


async def _chunks(service: Service, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    wants, spent = call.sampling, [0] * len(call.job.answers)
    head = {"id": call.number, "object": "text_completion", "created": call.created, "model": call.model}
    async with aclosing(service.tokens(call)) as steps:
        async for index, token in steps:
            chunk = head | {"choices": [_part(call, index, token, spent[index])]}
            spent[index] += 1
            if wants.continuous_usage:
                chunk["usage"] = usage(call.job.prompts[index // wants.n], spent[index])
            if token.finish and not wants.include_usage:
                chunk["system_fingerprint"] = service.fingerprint
            yield chunk
    if wants.include_usage:
        final = {"choices": [], "usage": usage(call.prompt_tokens, sum(spent))}
        yield head | final | {"system_fingerprint": service.fingerprint}


def _part(call: Call, index: int, token: text.Token, place: int) -> dict[str, Any]:
    wants, chances = call.sampling, None
    if wants.top_logprobs is not None:
        before = sum(len(earlier.text) for earlier in call.job.answers[index][:place])
        chances = logprobs.completion((token,), wants.top_logprobs, before)
    return {
        "index": index,
        "text": token.text,
        "logprobs": chances,
        "finish_reason": token.finish,
        "stop_reason": token.stop,
        "prompt_token_ids": _prompt_ids(call, index) if place == 0 else None,
        "token_ids": [token.number] if wants.token_ids else None,
    }


def _prompt_ids(call: Call, index: int) -> list[int] | None:
    return text.numbers(call.prompts[index // call.sampling.n]) if call.sampling.token_ids else None


def prompts(prompt: Any) -> list[str]:
    """A prompt is text or a list of token ids; several are a list of such."""
    if isinstance(prompt, str):
        return [prompt]
    if isinstance(prompt, list) and all(isinstance(part, int) for part in prompt):
        return [text.of_numbers(prompt)]
    return [part if isinstance(part, str) else text.of_numbers(part) for part in prompt]
