"""Which paths there are: everything else is 404, whatever the engine could do with it. Pure.

The engine's port also takes adapter loading, profiling and file paths from whoever reaches it; none of that is here.
Paths are compared byte for byte as they stand in the request line, so no encoding of a path means another one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agenttype_api.policy import WireProtocol

MODELS: Final = b"/v1/models"

_CALLS: Final[Mapping[bytes, WireProtocol]] = MappingProxyType({
    b"/v1/chat/completions": WireProtocol.OPENAI,
    b"/v1/completions": WireProtocol.OPENAI,
    b"/v1/responses": WireProtocol.OPENAI,
    b"/v1/embeddings": WireProtocol.OPENAI,
    b"/v1/messages": WireProtocol.ANTHROPIC,
    b"/v1/messages/count_tokens": WireProtocol.ANTHROPIC,
    b"/tokenize": WireProtocol.OPENAI,
})  # fmt: skip


def allowed(method: str, raw_path: bytes) -> bool:
    """Return whether a request may go on at all: a call is a POST, the list of models a GET."""
    return (method == "POST" and raw_path in _CALLS) or (method == "GET" and raw_path == MODELS)


def protocol(raw_path: bytes) -> WireProtocol:
    """Return whose error bodies a caller of this path reads."""
    return _CALLS.get(raw_path, WireProtocol.OPENAI)
