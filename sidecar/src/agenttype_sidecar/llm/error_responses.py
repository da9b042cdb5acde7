"""Our own error responses, in the caller's protocol."""

from typing import Any, Final

import orjson
from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import BudgetHeld, BudgetSpent, NeverFits, RateLimited, Refusal, RuleViolated
from agenttype_sidecar.llm.paths import Endpoint, Operation

_JSON: Final = (b"content-type", b"application/json")
_NO_RETRY: Final = (keys.HEADER_SHOULD_RETRY.encode(), b"false")
_RETRY: Final = (keys.HEADER_SHOULD_RETRY.encode(), b"true")
_REASON: Final = keys.HEADER_REASON.encode()
_LIMIT: Final = keys.HEADER_LIMIT.encode()
_RULE: Final = keys.HEADER_RULE.encode()
_REMAINING: Final = keys.HEADER_REMAINING.encode()
_RESET: Final = keys.HEADER_RESET.encode()
#: Of OpenAI's codes for a failed response, the one on which clients do not try again.
_NEVER_REPEATED: Final = "invalid_prompt"


def refusal(error: Refusal, protocol: WireProtocol) -> tuple[int, Headers, bytes]:
    """Return status, headers and body.

    A refusal that a retry cannot change says `x-should-retry: false`, which the SDKs obey before anything else. It has
    no Retry-After, because one SDK would wait for it, however long. A budget that soon starts again says when.
    """
    headers = [_JSON, (_REASON, error.reason.encode())]
    if error.retry_after is None:
        headers.append(_NO_RETRY)
    else:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if isinstance(error, BudgetSpent):
        headers += ((_LIMIT, error.limit.encode()), (_REMAINING, b"%d" % error.remaining))
        if error.reset is not None:
            headers.append((_RESET, b"%d" % error.reset))
        if error.retry_after is not None:
            headers.append(_RETRY)  # without it no SDK retries after this status
    elif isinstance(error, NeverFits | BudgetHeld):
        headers.append((_LIMIT, error.limit.encode()))
    elif isinstance(error, RuleViolated):
        headers.append((_RULE, error.rule.encode()))
    elif isinstance(error, RateLimited):
        headers.append((b"retry-after-ms", b"%d" % error.milliseconds))
    if protocol is WireProtocol.ANTHROPIC:
        return error.anthropic_status or error.status, headers, orjson.dumps(_anthropic(error))
    return error.status, headers, orjson.dumps({"error": _openai(error)})


def ending(error: Refusal, endpoint: Endpoint, opening: bytes = b"") -> bytes:
    """Return the last events of a stream that we end: an error and the end in its protocol.

    Args:
        error: why we end it.
        endpoint: what was called.
        opening: the data of the stream's first event, as the backend sent it.
    """
    if endpoint.protocol is WireProtocol.ANTHROPIC:
        return _event(b"error", _anthropic(error))
    if endpoint.operation is Operation.RESPONSES:
        # Written twice: OpenAI's reference has the members beside `type`, but OpenAI's SDKs raise only for an `error`.
        fault = _openai(error)
        content = {"type": "error", "code": error.reason, "message": error.message, "param": None, "error": fault}
        return _event(b"error", content) + _failed(error, opening)
    return b"data: " + orjson.dumps({"error": _openai(error)}) + b"\n\ndata: [DONE]\n\n"


def _event(name: bytes, data: dict[str, Any]) -> bytes:
    return b"event: " + name + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _failed(error: Refusal, opening: bytes) -> bytes:
    """Return a failed response, for clients that ignore errors: Codex would send the call again, five times."""
    try:
        response = orjson.loads(opening)["response"]
        fault = {"code": _NEVER_REPEATED, "message": error.message}
        failed = {**response, "status": "failed", "error": fault}
    except (ValueError, LookupError, TypeError):  # without the opening, the response is not known here
        return b""
    return _event(b"response.failed", {"type": "response.failed", "response": failed})


def _anthropic(error: Refusal) -> dict[str, Any]:
    return {"type": "error", "error": {"type": error.kinds[1], "message": error.message}}


def _openai(error: Refusal) -> dict[str, Any]:
    return {"message": error.message, "type": error.kinds[0], "param": error.parameter, "code": error.reason}
