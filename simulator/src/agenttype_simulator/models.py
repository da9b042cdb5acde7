"""`GET /v1/models` and the two endpoints that load and unload adapters."""

import secrets
from typing import Any

from agenttype_simulator import checks
from agenttype_simulator.checks import Field
from agenttype_simulator.exchange import Exchange
from agenttype_simulator.service import Service

_NAME = Field(checks.string, required=True, nullable=False)
_LOAD = {"lora_name": _NAME, "lora_path": _NAME, "load_inplace": Field(checks.boolean, nullable=False)}
_UNLOAD = {"lora_name": _NAME, "lora_int_id": Field(checks.integer)}


async def listed(service: Service, exchange: Exchange, raw: bytes) -> None:  # noqa: ARG001 — every route takes the same
    """List the served names, base first; an adapter's `root` is its path, its `parent` the base."""
    length, base = service.options.max_model_len, service.options.base
    cards = [_card(service, name, service.options.model, None, length) for name in service.options.served_model_names]
    cards += [_card(service, name, path, base, None) for name, path in service.adapters.paths.items()]
    await exchange.json({"object": "list", "data": cards})


async def load(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Load an adapter from a folder."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _LOAD)
    said = service.adapters.load(body["lora_name"], body["lora_path"], in_place=bool(body.get("load_inplace")))
    await exchange.reply(said.encode())


async def unload(service: Service, exchange: Exchange, raw: bytes) -> None:
    """Forget an adapter's name."""
    body = checks.body_of(raw, exchange.headers.get("content-type", ""), _UNLOAD)
    await exchange.reply(service.adapters.unload(body["lora_name"]).encode())


def _card(service: Service, name: str, root: str, parent: str | None, length: int | None) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": service.started,
        "owned_by": "vllm",
        "root": root,
        "parent": parent,
        "max_model_len": length,
        "permission": [
            {
                "id": f"modelperm-{secrets.token_hex(8)}",
                "object": "model_permission",
                "created": service.started,
                "allow_create_engine": False,
                "allow_sampling": True,
                "allow_logprobs": True,
                "allow_search_indices": False,
                "allow_view": True,
                "allow_fine_tuning": False,
                "organization": "*",
                "group": None,
                "is_blocking": False,
            }
        ],
    }
