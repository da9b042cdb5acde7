"""Which paths there are: everything else is 404, whatever the engine could do with it. Pure.

The engine's port also takes adapter loading, profiling and file paths from whoever reaches it; none of that is here.
Paths are compared byte for byte as they stand in the request line, so no encoding of a path means another one.
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


#: What is asked about a response that the engine keeps. Its name says nothing of whose it is: nobody can guess one, and
#: a sidecar asks only for those that it has passed on.
_STORED: Final = re.compile(rb"/v1/responses/[A-Za-z0-9_-]{1,128}(|/cancel|/input_items)")
_STORED_METHODS: Final = MappingProxyType({b"": ("GET", "DELETE"), b"/cancel": ("POST",), b"/input_items": ("GET",)})


def allowed(method: str, raw_path: bytes) -> bool:
    """Return whether a request may go on at all: a call is a POST, the list of models a GET."""
    if (method == "POST" and raw_path in _CALLS) or (method == "GET" and raw_path == MODELS):
        return True
    found = _STORED.fullmatch(raw_path)
    return found is not None and method in _STORED_METHODS[found[1]]


def stored(raw_path: bytes) -> bool:
    """Return whether a path is about a response that the engine keeps."""
    return _STORED.fullmatch(raw_path) is not None


def protocol(raw_path: bytes) -> WireProtocol:
    """Return whose error bodies a caller of this path reads."""
    return _CALLS.get(raw_path, WireProtocol.OPENAI)
