"""`POST /v1/embeddings` of an engine that was started to embed: numbers made up from each text, always the same."""

import base64
import hashlib
import math
import secrets
import struct
import time
from http import HTTPStatus
from typing import Any

from agenttype_simulator import checks, text
from agenttype_simulator.checks import Field
from agenttype_simulator.completions import prompts
from agenttype_simulator.errors import Refusal
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.sampling import Budget
from agenttype_simulator.service import Service

LENGTH = 64
_SCHEMA = {"model": Field(checks.string), "encoding_format": Field(checks.string)}


async def embed(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Serve one call."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _SCHEMA)
    name = body.get("model")
    if name and name not in service.options.served_model_names:
        raise Refusal(f"The model `{name}` does not exist.", HTTPStatus.NOT_FOUND)
    inputs = prompts(body["input"])
    counts = [text.count(each) for each in inputs]
    for count in counts:
        Budget(prompt=count, context=service.options.max_model_len, asked=None, param="input").allowed()
    service.metrics.prompt_tokens += sum(counts)
    service.metrics.finished["stop"] += len(inputs)
    exchange.arrival.prompt_tokens = sum(counts)
    await exchange.json(
        {
            "id": f"embd-{secrets.token_hex(8)}",
            "object": "list",
            "created": int(time.time()),
            "model": service.options.base,
            "data": [
                {"index": place, "object": "embedding", "embedding": _embedding(each, body.get("encoding_format"))}
                for place, each in enumerate(inputs)
            ],
            "usage": _usage(sum(counts)),
        }
    )


def _embedding(prompt: str, form: Any) -> list[float] | str:
    digest = hashlib.shake_128(prompt.encode()).digest(LENGTH)
    raw = [byte - 127.5 for byte in digest]
    size = math.sqrt(sum(part * part for part in raw))
    vector = [part / size for part in raw]
    return base64.b64encode(struct.pack(f"<{LENGTH}f", *vector)).decode() if form == "base64" else vector


def _usage(prompt: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "total_tokens": prompt,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
