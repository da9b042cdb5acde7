"""`POST /v1/responses`: text in, text out, in one piece and as events.

An engine that keeps responses keeps them in its memory for ever, as vLLM does; it runs none in the background.
"""

import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import orjson

from agenttype_simulator import checks, conversation, text
from agenttype_simulator.checks import Field
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.sampling import Budget, sampling
from agenttype_simulator.service import Call, Kept, Service

_SCHEMA = {
    "model": Field(checks.string),
    "input": Field(lambda value: value, required=True),
    "request_id": Field(checks.string, nullable=False),
    "previous_response_id": Field(checks.string),
    "store": Field(checks.boolean),
    "background": Field(checks.boolean),
    "instructions": Field(checks.string),
    "max_output_tokens": Field(checks.integer),
    "stream": Field(checks.boolean),
    "temperature": Field(checks.number),
    "top_p": Field(checks.number),
}


_INVALID = "invalid_request_error"
_NO_BACKGROUND = (
    "This vLLM engine does not support `store=True` and therefore does not support the background mode. To enable "
    "these features, set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching the vLLM server."
)


class _Reply:
    """One reply's fixed parts, from which the whole and the events are made."""

    def __init__(self, call: Call, body: dict[str, Any]) -> None:
        self.call = call
        self.number = str(body.get("request_id") or call.number)
        self.item = f"msg_{secrets.token_hex(8)}"
        self._body = body

    def whole(self, answer: tuple[text.Token, ...] | None = None) -> dict[str, Any]:
        """The response object; without an answer it is in progress."""
        cut = answer is not None and answer[-1].finish == "length"
        status = "in_progress" if answer is None else "incomplete" if cut else "completed"
        return {
            "id": self.number,
            "created_at": self.call.created,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "instructions": self._body.get("instructions"),
            "metadata": self._body.get("metadata"),
            "model": self.call.model,
            "object": "response",
            "output": [] if answer is None else [self.message(answer)],
            "parallel_tool_calls": True,
            "temperature": self._body.get("temperature", 1.0),
            "tool_choice": "none",
            "tools": [],
            "top_p": self._body.get("top_p", 1.0),
            "background": False,
            "max_output_tokens": self.call.sampling.wish.max_tokens,
            "max_tool_calls": None,
            "previous_response_id": self._body.get("previous_response_id"),
            "prompt": None,
            "reasoning": None,
            "service_tier": "auto",
            "status": status,
            "text": None,
            "top_logprobs": None,
            "truncation": "disabled",
            "usage": None if answer is None else _usage(self.call.prompt_tokens, len(answer)),
            "user": None,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "input_messages": None,
            "output_messages": None,
        }

    def message(self, answer: tuple[text.Token, ...]) -> dict[str, Any]:
        """The finished output item."""
        return _message(self.item, "completed", [_part(answer, None)])

    def opening(self) -> Iterator[dict[str, Any]]:
        """The events before the first token."""
        yield {"response": self.whole(), "type": "response.created"}
        yield {"response": self.whole(), "type": "response.in_progress"}
        item = _message(self.item, "in_progress", [])
        yield {"item": item, "output_index": 0, "type": "response.output_item.added"}
        yield self._at("response.content_part.added", part=_part((), []))

    def delta(self, token: text.Token) -> dict[str, Any]:
        """The event of one token."""
        return self._at("response.output_text.delta", delta=token.text, logprobs=[])

    def closing(self, answer: tuple[text.Token, ...]) -> Iterator[dict[str, Any]]:
        """The events after the last token."""
        yield self._at("response.output_text.done", text=_said(answer), logprobs=[])
        yield self._at("response.content_part.done", part=_part(answer, None))
        yield {"item": self.message(answer), "output_index": 0, "type": "response.output_item.done"}
        yield {"response": self.whole(answer), "type": "response.completed"}

    def _at(self, kind: str, **rest: Any) -> dict[str, Any]:
        return {"content_index": 0, "item_id": self.item, "output_index": 0, "type": kind} | rest


async def create(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one Responses call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _SCHEMA)
    target = service.target(body.get("model"))
    if body.get("background"):
        raise Refusal(_NO_BACKGROUND, kind=_INVALID, param="background")
    turns = _messages(service, body)
    prompt = conversation.prompt(turns)
    budget = Budget(
        prompt=text.count(prompt),
        context=service.options.max_model_len,
        asked=body.get("max_output_tokens"),
        param="max_output_tokens",
    )
    call = service.call(exchange, "resp_", target, [prompt], sampling(body, budget))
    reply = _Reply(call, body)
    if service.options.keeps_responses and body.get("store") is not False:
        answer = reply.whole(call.job.answers[0])
        said = {"role": "assistant", "content": _said(call.job.answers[0])}
        service.kept[reply.number] = Kept([*turns, said], answer)
    if call.sampling.stream:
        await exchange.events(_frames(service, reply))
    else:
        await exchange.json(reply.whole((await service.answers(call))[0]))


async def _frames(service: Service, reply: _Reply) -> AsyncGenerator[bytes, None]:
    async with aclosing(_events(service, reply)) as events:
        place = 0
        async for event in events:
            yield _frame(event, place)
            place += 1


async def _events(service: Service, reply: _Reply) -> AsyncGenerator[dict[str, Any], None]:
    begun = False
    for event in list(reply.opening())[:2]:
        yield event
    async with aclosing(service.tokens(reply.call)) as steps:
        async for _, token in steps:
            if not begun:
                begun = True
                for event in list(reply.opening())[2:]:
                    yield event
            if token.text:
                yield reply.delta(token)
    for event in reply.closing(reply.call.job.answers[0]):
        yield event


def _frame(event: dict[str, Any], place: int) -> bytes:
    head = f"event: {event['type']}\ndata: ".encode()
    return head + orjson.dumps(event | {"sequence_number": place}) + b"\n\n"


async def retrieve(service: Service, exchange: Exchange, raw: bytes) -> None:  # noqa: ARG001 — every route takes the same
    """Show a response that is kept."""
    await exchange.json(_kept(service, exchange.path.split("/")[3]).response)


async def cancel(service: Service, exchange: Exchange, raw: bytes) -> None:  # noqa: ARG001 — every route takes the same
    """Refuse to cancel what is done already, as all of them are."""
    _kept(service, exchange.path.split("/")[3])
    raise Refusal("Cannot cancel a synchronous response.", kind=_INVALID, param="response_id")


def _kept(service: Service, number: str) -> Kept:
    kept = service.kept.get(number)
    if kept is None:
        raise Refusal(f"Response with id '{number}' not found.", HTTPStatus.NOT_FOUND, _INVALID, "response_id")
    return kept


def _messages(service: Service, body: dict[str, Any]) -> list[dict[str, Any]]:
    asked = body.get("input") or ""
    turns = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
    opening = [{"role": "system", "content": body["instructions"]}] if body.get("instructions") else []
    former = body.get("previous_response_id")
    return [*(_kept(service, former).turns if former is not None else []), *opening, *turns]


def _message(number: str, status: str, content: list[Any]) -> dict[str, Any]:
    return {
        "id": number,
        "content": content,
        "role": "assistant",
        "status": status,
        "type": "message",
        "phase": None,
    }


def _part(answer: tuple[text.Token, ...], chances: list[Any] | None) -> dict[str, Any]:
    return {"annotations": [], "text": _said(answer), "type": "output_text", "logprobs": chances}


def _said(answer: tuple[text.Token, ...]) -> str:
    return "".join(token.text for token in answer)


def _usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "input_tokens": prompt,
        "input_tokens_details": {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            "input_tokens_per_turn": [],
            "cached_tokens_per_turn": [],
        },
        "output_tokens": completion,
        "output_tokens_details": {
            "reasoning_tokens": 0,
            "tool_output_tokens": 0,
            "output_tokens_per_turn": [],
            "tool_output_tokens_per_turn": [],
        },
        "total_tokens": prompt + completion,
    }
