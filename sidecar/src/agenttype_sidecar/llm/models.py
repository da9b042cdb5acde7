"""The list of models that an agent is shown: the names that its policy routes, and nothing of what lies behind them."""

from typing import Any

import orjson
from agenttype_api.policy import WireProtocol

from agenttype_sidecar.backends.routes import Routes


def listing(routes: Routes, protocol: WireProtocol) -> bytes:
    """Return the body of `GET /v1/models` in a protocol's shape."""
    names = routes.names
    content: dict[str, Any]
    if protocol is WireProtocol.ANTHROPIC:
        content = {
            "data": [
                {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
                for name in names
            ],
            "has_more": False,
            "first_id": names[0] if names else None,
            "last_id": names[-1] if names else None,
        }
    else:
        entries = [{"id": name, "object": "model", "created": 0, "owned_by": "agenttype"} for name in names]
        content = {"object": "list", "data": entries}
    return orjson.dumps(content)
