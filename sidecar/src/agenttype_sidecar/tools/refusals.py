"""What a tool call can be answered with instead of the tool's answer, and how each wire says it.

::

    Refusal                      of `errors`; others of its tree (budget, ledger, rules) are said the same way
    └── ToolRefusal
        ├── UnknownServer        404  the policy names no tool server of this path
        ├── ToolNotAllowed       403  the policy does not allow this tool, or this method and path
        ├── AmbiguousPath        400  two readers could take the path for two
        ├── ArgumentsTooLarge    413
        ├── TooManyCalls         429  calls per minute; waiting helps
        ├── CallsExhausted       429  calls per run; waiting does not
        ├── ToolUnavailable      502  refused, broken, or answered what cannot be checked
        ├── ResultTooLarge       502
        ├── ToolTimedOut         504
        └── Cancelled            499  by the caller itself
"""

from typing import Any, Final

import orjson
from agenttype_api import keys
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_proxy.errors import (
    BodyTimeout,
    BodyTooLarge,
    FirstByteTimeout,
    IdleTimeout,
    ResponseTooLarge,
    TotalTimeout,
    UpstreamError,
)
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import BodyTimedOut, Refusal
from agenttype_sidecar.errors import BodyTooLarge as MessageTooLarge
from agenttype_sidecar.tools.mcp.protocol import REFUSED

JSON: Final = (b"content-type", b"application/json")
_REASON: Final = keys.HEADER_REASON.encode()
_LIMIT: Final = keys.HEADER_LIMIT.encode()
_RULE: Final = keys.HEADER_RULE.encode()
_NO_RETRY: Final = (keys.HEADER_SHOULD_RETRY.encode(), b"false")


class ToolRefusal(Refusal):
    """An answer of ours to a tool call."""

    kinds = ("invalid_request_error", "invalid_request_error")


class UnknownServer(ToolRefusal):
    """The policy names no tool server of this path."""

    status = 404
    reason = RefusalReason.TOOL_SERVER_NOT_FOUND

    def __init__(self) -> None:
        super().__init__("this agent's policy names no tool server of this path")


class ToolNotAllowed(ToolRefusal):
    """The policy does not allow it."""

    status = 403
    reason = RefusalReason.TOOL_NOT_ALLOWED

    def __init__(self, message: str = "this tool is not allowed by the agent's policy") -> None:
        super().__init__(message)


class AmbiguousPath(ToolRefusal):
    """Two readers could take the path for two different ones."""

    status = 400
    reason = RefusalReason.AMBIGUOUS_PATH

    def __init__(
        self, message: str = "write the path plainly: no dot or empty segments, semicolons or encoded separators"
    ) -> None:
        super().__init__(message)


class ArgumentsTooLarge(ToolRefusal):
    """The call's message is larger than the policy allows."""

    status = 413
    reason = RefusalReason.ARGUMENTS_TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"calls of this tool server are at most {limit} bytes")


class TooManyCalls(ToolRefusal):
    """As many calls as a minute may have."""

    status = 429
    reason = RefusalReason.RATE_LIMIT_EXCEEDED

    def __init__(self, limit: int, seconds: int) -> None:
        super().__init__(f"this tool server takes {limit} calls a minute; the next may go in {seconds} s")
        self.retry_after = seconds


class CallsExhausted(ToolRefusal):
    """As many calls as a run may have."""

    status = 429
    reason = RefusalReason.TOOL_CALLS_EXHAUSTED

    def __init__(self, limit: int) -> None:
        super().__init__(f"this run has made its {limit} calls of this tool server; go on without it")


class ToolUnavailable(ToolRefusal):
    """The server does not answer, or not so that anybody could judge it."""

    status = 502
    reason = RefusalReason.TOOL_UNAVAILABLE

    def __init__(self, message: str = "the tool server does not answer") -> None:
        super().__init__(message)


class ResultTooLarge(ToolRefusal):
    """The result is larger than the policy allows."""

    status = 502
    reason = RefusalReason.RESULT_TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"the tool's result is larger than the {limit} bytes that this agent may get; ask for less")


class ToolTimedOut(ToolRefusal):
    """The tool took longer than it may."""

    status = 504
    reason = RefusalReason.TOOL_TIMEOUT

    def __init__(self) -> None:
        super().__init__("the tool server did not answer in time")


class Cancelled(ToolRefusal):
    """The caller has called it off."""

    status = 499
    reason = RefusalReason.CANCELLED

    def __init__(self) -> None:
        super().__init__("the call was cancelled")


def of_wire(error: UpstreamError | BodyTooLarge | BodyTimeout, limit: int) -> Refusal:
    """Return how the agent hears of what a wire did; `limit` is what a result or a message may measure."""
    match error:
        case ResponseTooLarge():
            return ResultTooLarge(limit)
        case FirstByteTimeout() | IdleTimeout() | TotalTimeout():
            return ToolTimedOut()
        case BodyTooLarge():
            return MessageTooLarge(f"messages to tools are at most {limit} bytes")
        case BodyTimeout():
            return BodyTimedOut("the message did not arrive in time")
        case _:
            return ToolUnavailable()


def http_answer(refusal: Refusal) -> tuple[int, Headers, bytes]:
    """Return a refusal as an answer of HTTP: status, headers, body."""
    fields: Headers = [JSON, (_REASON, refusal.reason.encode())]
    seconds = refusal.retry_after
    fields.append(_NO_RETRY if seconds is None else (b"retry-after", b"%d" % seconds))
    for name, header in (("limit", _LIMIT), ("rule", _RULE)):
        value = getattr(refusal, name, None)
        if isinstance(value, str):
            fields.append((header, value.encode()))
    return refusal.status, fields, orjson.dumps({"error": {"code": refusal.reason, "message": refusal.message}})


def rpc_error(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as the `error` of a JSON-RPC answer."""
    data: dict[str, Any] = {"code": refusal.reason}
    if refusal.retry_after is not None:
        data["retryAfter"] = refusal.retry_after
    for name in ("limit", "rule"):
        value = getattr(refusal, name, None)
        if isinstance(value, str):
            data[name] = value
    return {"code": REFUSED, "message": refusal.message, "data": data}


def tool_result(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal as a tool's result: what the model reads, and works around."""
    return {
        "content": [{"type": "text", "text": refusal.message}],
        "isError": True,
        "resultType": "complete",
        "_meta": {keys.PREFIX + "error": rpc_error(refusal)["data"]},
    }
