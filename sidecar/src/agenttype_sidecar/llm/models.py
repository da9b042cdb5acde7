"""The models that an agent is shown: the names that its policy routes, and nothing of the backends."""

import contextlib
from typing import Any
from urllib.parse import unquote

import orjson
from agenttype_api.policy import WireProtocol

from agenttype_sidecar.errors import UnknownModel, WrongProtocol
from agenttype_sidecar.routing.routes import Routes


def listing(routes: Routes, protocol: WireProtocol) -> bytes:
    """Return the body of `GET /v1/models` in a protocol's shape."""
    names = routes.names
    cards = [_card(name, protocol) for name in names]
    if protocol is WireProtocol.ANTHROPIC:
        first, last = (names[0], names[-1]) if names else (None, None)
        return orjson.dumps({"data": cards, "has_more": False, "first_id": first, "last_id": last})
    return orjson.dumps({"object": "list", "data": cards})


def one(routes: Routes, written: str, protocol: WireProtocol) -> bytes:
    """Return the body of `GET /v1/models/{name}` for a name as written in the path.

    Raises:
        UnknownModel: No route matches.
    """
    try:
        name = unquote(written, errors="strict")
    except UnicodeDecodeError as error:
        raise UnknownModel("no route of this agent's policy matches the requested model") from error
    # The model exists, even if its backend speaks another protocol.
    with contextlib.suppress(WrongProtocol):
        routes.find(name, protocol)
    return orjson.dumps(_card(name, protocol))


def _card(name: str, protocol: WireProtocol) -> dict[str, Any]:
    if protocol is WireProtocol.ANTHROPIC:
        return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 0, "owned_by": "agenttype"}
