"""The paths of the data port: the spellings that SDKs really send, and nothing else."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from agenttype_api.policy import WireProtocol


class Operation(StrEnum):
    """What a caller wants."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"
    COUNT = "count"
    """Counting the tokens of a Messages call; costs nothing."""
    STORED = "stored"
    """A request about a response that the backend keeps; costs nothing."""
    MODELS = "models"
    MODEL = "model"
    BASE = "base"
    """The base URL, which some agents request before their first call."""


class Endpoint(NamedTuple):
    """One operation: its protocol, its methods, and the path under which every backend serves it."""

    operation: Operation
    protocol: WireProtocol
    methods: tuple[str, ...]
    path: bytes
    name: str = ""
    """The stored response or the model in the path."""

    @property
    def label(self) -> str:
        """The path without names that callers choose, for records."""
        return self.path.decode().replace(self.name, "{id}") if self.name else self.path.decode()


_OPENAI, _ANTHROPIC = WireProtocol.OPENAI, WireProtocol.ANTHROPIC
_POST: Final = ("POST",)
_PATHS: Final = {
    "/chat/completions": Endpoint(Operation.CHAT, _OPENAI, _POST, b"/v1/chat/completions"),
    "/completions": Endpoint(Operation.COMPLETIONS, _OPENAI, _POST, b"/v1/completions"),
    "/responses": Endpoint(Operation.RESPONSES, _OPENAI, _POST, b"/v1/responses"),
    "/embeddings": Endpoint(Operation.EMBEDDINGS, _OPENAI, _POST, b"/v1/embeddings"),
    "/messages": Endpoint(Operation.MESSAGES, _ANTHROPIC, _POST, b"/v1/messages"),
    "/messages/count_tokens": Endpoint(Operation.COUNT, _ANTHROPIC, _POST, b"/v1/messages/count_tokens"),
    "/models": Endpoint(Operation.MODELS, _OPENAI, ("GET",), b"/v1/models"),
}
#: One base URL serves all SDKs: some append /v1 to it, some expect it there, some leave it out.
_BASES: Final = ("", "/v1", "/openai", "/openai/v1", "/anthropic", "/anthropic/v1")
#: The base URL itself, and the greeting of Claude Code.
_GREETINGS: Final = ("", "/", "/api/hello")
_BASE_ITSELF: Final = Endpoint(Operation.BASE, _OPENAI, ("GET", "HEAD"), b"/")
_ENDPOINTS: Final = {base + path: endpoint for base in _BASES for path, endpoint in _PATHS.items()} | {
    path: _BASE_ITSELF for base in _BASES for path in map(base.__add__, _GREETINGS) if path
}
#: The served paths, for the base URL's answer and for the error of an unknown path.
SERVED: Final = tuple(endpoint.path.decode() for endpoint in _PATHS.values())

_BASE: Final = r"(?:/openai|/anthropic)?(?:/v1)?"
_MODEL: Final = re.compile(_BASE + r"/models/([^/?#][^?#]{0,511})")
_STORED: Final = re.compile(_BASE + r"/responses/([A-Za-z0-9_-]{1,128})(|/cancel|/input_items)")
#: Other paths that the providers serve below `/responses/`; no id looks like these.
_NOT_IDS: Final = frozenset({"input_tokens", "compact"})
_STORED_METHODS: Final = {"": ("GET", "DELETE"), "/cancel": _POST, "/input_items": ("GET",)}


def endpoint(path: str) -> Endpoint | None:
    """Return the endpoint of a path, None if it is not served; the path is compared literally."""
    return _ENDPOINTS.get(path) or _stored(path) or _model(path)


def protocol(path: str, *, anthropic_header: bool) -> WireProtocol:
    """Return the protocol of an answer if the path has no endpoint: by its base, or by `anthropic-version`."""
    if anthropic_header or path.startswith("/anthropic/") or path.endswith("/messages"):
        return WireProtocol.ANTHROPIC
    return WireProtocol.OPENAI


def _stored(path: str) -> Endpoint | None:
    found = _STORED.fullmatch(path)
    if found is None or found[1] in _NOT_IDS:
        return None
    target = f"/v1/responses/{found[1]}{found[2]}".encode()
    return Endpoint(Operation.STORED, _OPENAI, _STORED_METHODS[found[2]], target, found[1])


def _model(path: str) -> Endpoint | None:
    found = _MODEL.fullmatch(path)
    if found is None:
        return None
    return Endpoint(Operation.MODEL, _OPENAI, ("GET",), f"/v1/models/{found[1]}".encode(), found[1])
