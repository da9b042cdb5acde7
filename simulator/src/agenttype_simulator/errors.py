"""Refusals, each mapped to the status and body that vLLM gives.

Refusal                the handler refuses: code and type as given
└── InvalidRequest     the body does not fit the route's schema: 400 `Bad Request`, in the OpenAI shape on
                       every route, because vLLM refuses it before the route's own code runs
"""

import re
from http import HTTPStatus
from typing import Any

_PATHS = re.compile(r"/(?:home|usr|opt|var|tmp|root|lib|mnt|srv)(?:/[\w.\-]+)+")
_FILES = re.compile(r"(?:/[\w\-]+)+/[\w\-]+\.\w+")


class Refusal(Exception):  # noqa: N818 — it is a reply, not a fault of ours
    """A reply with an error body; `type` defaults to what vLLM calls the caller's mistakes."""

    def __init__(
        self, message: str, status: int = HTTPStatus.BAD_REQUEST, kind: str = "", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = _redacted(message)
        self.status = int(status)
        self.kind = kind or _KINDS[self.status]
        self.param = param

    def body(self) -> dict[str, Any]:
        """The OpenAI shape: `{"error": {"message", "type", "param", "code"}}`."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}}

    def anthropic_body(self) -> dict[str, Any]:
        """The Anthropic shape; vLLM keeps its own type names inside it."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}}


class InvalidRequest(Refusal):
    """The body does not fit the schema; the message lists the mistakes as pydantic words them."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, HTTPStatus.BAD_REQUEST, "Bad Request", param)


_KINDS = {
    400: "BadRequestError",
    404: "NotFoundError",
    500: "InternalServerError",
    501: "NotImplementedError",
    503: "ServiceUnavailableError",
}


def _redacted(message: str) -> str:
    """Paths are cut out of messages, as vLLM does, so that replies do not tell the server's layout."""
    return _FILES.sub("<path>", _PATHS.sub("<path>", message)).strip()
