"""Refusals, each mapped to the status and body that vLLM gives.

Refusal                the route refuses: code, type and param as given
├── BadParameter       400, one parameter is out of bounds; the message ends with its name and value
├── InvalidRequest     400 `Bad Request`, the body does not fit the schema; in the OpenAI shape on every route,
│                      because vLLM refuses it before the route's own code runs
└── NoRoute            404 or 405 of the web framework below vLLM, in that framework's shape
"""

import re
from http import HTTPStatus
from typing import Any

# As vLLM does, so that replies do not tell the server's layout.
_PATHS = re.compile(r"/(?:home|usr|opt|var|tmp|root|lib|mnt|srv)(?:/[\w.\-]+)+")
_FILES = re.compile(r"(?:/[\w\-]+)+/[\w\-]+\.\w+")
_KINDS = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError", 501: "NotImplementedError"}


class Refusal(Exception):  # noqa: N818 — it is a reply, not a fault of ours
    """A reply with an error body; `kind` defaults to vLLM's name for the status."""

    def __init__(
        self, message: str, status: int = HTTPStatus.BAD_REQUEST, kind: str = "", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = _FILES.sub("<path>", _PATHS.sub("<path>", message)).strip()
        self.status = int(status)
        self.kind = kind or _KINDS.get(self.status, "InternalServerError")
        self.param = param
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        """The OpenAI shape: `{"error": {"message", "type", "param", "code"}}`."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.status}}

    def anthropic_body(self) -> dict[str, Any]:
        """The Anthropic shape; vLLM keeps its own type names inside it."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}}


class BadParameter(Refusal):
    """One parameter is out of bounds; `value` is shown when there is one."""

    def __init__(self, message: str, param: str, value: float | None = None) -> None:
        shown = f"parameter={param}" if value is None else f"parameter={param}, value={value}"
        super().__init__(f"{message} ({shown})", param=param)


class InvalidRequest(Refusal):
    """The body does not fit the schema; the message lists the mistakes as pydantic words them."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, HTTPStatus.BAD_REQUEST, "Bad Request", param)


class EngineDead(Refusal):
    """The engine has ended; every call is refused until the process ends too."""

    def __init__(self) -> None:
        super().__init__(
            "EngineCore encountered an issue. See stack trace (above) for the root cause.",
            HTTPStatus.INTERNAL_SERVER_ERROR,
        )


class NoRoute(Refusal):
    """No such path, or not with this method; `allowed` goes into the Allow header."""

    def __init__(self, status: HTTPStatus, allowed: str | None = None) -> None:
        super().__init__(status.phrase, status)
        if allowed:
            self.headers = {"allow": allowed}

    def body(self) -> dict[str, Any]:
        """The framework's shape: `{"detail"}`."""
        return {"detail": self.message}
