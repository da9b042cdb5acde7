"""`POST /tokenize`. A generating model has no `/v1/embeddings`, so that path is unknown here as there."""

from agenttype_simulator import checks, conversation, text
from agenttype_simulator.checks import Field
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.service import Service

_SCHEMA = {
    "model": Field(checks.string),
    "prompt": Field(checks.string),
    "messages": Field(checks.array),
    "return_token_strs": Field(checks.boolean),
}


async def tokenize(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Count the tokens of a prompt or of a chat."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _SCHEMA)
    service.target(body.get("model"))
    prompt = body["prompt"] if "prompt" in body else conversation.prompt(body.get("messages") or [])
    ids = text.numbers(prompt)
    await exchange.json(
        {
            "count": len(ids),
            "max_model_len": service.options.max_model_len,
            "tokens": ids,
            "token_strs": text.words(prompt) if body.get("return_token_strs") else None,
        }
    )
