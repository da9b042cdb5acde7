"""Which paths of the data port mean what: the spellings that SDKs really send, and nothing else."""

from enum import Enum
from typing import Final, NamedTuple

from agenttype_api.policy import WireProtocol


class Operation(Enum):
    """What a caller wants."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    MESSAGES = "messages"
    MODELS = "models"


class Endpoint(NamedTuple):
    """One operation: its protocol, and the path under which every backend serves it."""

    operation: Operation
    protocol: WireProtocol
    method: str
    path: bytes


_CHAT: Final = Endpoint(Operation.CHAT, WireProtocol.OPENAI, "POST", b"/v1/chat/completions")
_COMPLETIONS: Final = Endpoint(Operation.COMPLETIONS, WireProtocol.OPENAI, "POST", b"/v1/completions")
_MESSAGES: Final = Endpoint(Operation.MESSAGES, WireProtocol.ANTHROPIC, "POST", b"/v1/messages")
_MODELS: Final = Endpoint(Operation.MODELS, WireProtocol.OPENAI, "GET", b"/v1/models")

#: One base URL serves all: some SDKs append /v1 to it, some expect it there, some leave it out.
_BASES: Final = ("", "/v1", "/openai", "/openai/v1", "/anthropic", "/anthropic/v1")
_ENDPOINTS: Final = {
    base + path: endpoint
    for base in _BASES
    for path, endpoint in {
        "/chat/completions": _CHAT,
        "/completions": _COMPLETIONS,
        "/messages": _MESSAGES,
        "/models": _MODELS,
    }.items()
}


def endpoint(path: str) -> Endpoint | None:
    """Return what a path means, None for every path that is not ours; the path is taken literally."""
    return _ENDPOINTS.get(path)


def protocol(path: str, *, anthropic_header: bool) -> WireProtocol:
    """Return the protocol to answer in where the path does not tell: by its base, or by `anthropic-version`."""
    if anthropic_header or path.startswith("/anthropic/") or path.endswith("/messages"):
        return WireProtocol.ANTHROPIC
    return WireProtocol.OPENAI
