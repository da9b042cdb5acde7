"""`POST /tokenize`, and `/v1/embeddings`, which a model that generates does not have."""

from http import HTTPStatus

from agenttype_simulator import chat, checks, text
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.service import Service

_SCHEMA = checks.Schema({}, {"model": checks.STRING, "messages": checks.LIST, "prompt": checks.STRING})


async def tokenize(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Count the tokens of a prompt or of a chat."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _SCHEMA)
    service.target(body.get("model"))
    prompt = body["prompt"] if "prompt" in body else chat.prompt_of(body.get("messages") or [])
    ids = text.numbers(prompt)
    strings = text.words(prompt) if body.get("return_token_strs") else None
    await exchange.json(
        {
            "count": len(ids),
            "max_model_len": service.options.max_model_len,
            "tokens": ids,
            "token_strs": strings,
        }
    )


async def embeddings(service: Service, exchange: Exchange, raw: bytes) -> None:  # noqa: ARG001 — every route takes the same
    """Refuse, as vLLM does when it serves a generating model."""
    raise Refusal("Not Found", HTTPStatus.NOT_FOUND, "Not Found")
