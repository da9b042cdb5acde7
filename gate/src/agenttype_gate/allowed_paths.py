"""The allowed paths; every other path gets 404, even if the engine serves it. Pure.

The engine's port also accepts adapter loading, profiling and file paths from any client; none of these are allowed
here. Paths are compared byte for byte as in the request line, so an encoded path cannot mean another one.
"""

import re
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


#: Requests about a response that the engine keeps. The name does not show its owner, but it cannot be guessed, and a
#: sidecar asks only for responses that it has passed on.
_STORED: Final = re.compile(rb"/v1/responses/[A-Za-z0-9_-]{1,128}(|/cancel|/input_items)")
_STORED_METHODS: Final = MappingProxyType({b"": ("GET", "DELETE"), b"/cancel": ("POST",), b"/input_items": ("GET",)})


def allowed(method: str, raw_path: bytes) -> bool:
    """Return whether a request may go on: a call is a POST, the list of models a GET."""
    if (method == "POST" and raw_path in _CALLS) or (method == "GET" and raw_path == MODELS):
        return True
    found = _STORED.fullmatch(raw_path)
    return found is not None and method in _STORED_METHODS[found[1]]


def stored(raw_path: bytes) -> bool:
    """Return whether a path is about a response that the engine keeps."""
    return _STORED.fullmatch(raw_path) is not None


def protocol(raw_path: bytes) -> WireProtocol:
    """Return the protocol of error bodies for a path."""
    return _CALLS.get(raw_path, WireProtocol.OPENAI)
