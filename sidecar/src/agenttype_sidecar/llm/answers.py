"""Our own answers, each in the protocol that the caller speaks."""

from typing import Final

import orjson
from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import BudgetHeld, BudgetSpent, NeverFits, Refusal

_JSON: Final = (b"content-type", b"application/json")
_NO_RETRY: Final = (keys.HEADER_SHOULD_RETRY.encode(), b"false")
_REASON: Final = keys.HEADER_REASON.encode()
_LIMIT: Final = keys.HEADER_LIMIT.encode()
_REMAINING: Final = keys.HEADER_REMAINING.encode()


def refusal(error: Refusal, protocol: WireProtocol) -> tuple[int, Headers, bytes]:
    """Return status, headers and body.

    A refusal that no repetition can change says `x-should-retry: false`, which the SDKs obey before anything else;
    it carries no Retry-After, which one of them would sleep through, however long.
    """
    headers = [_JSON, (_REASON, error.reason.encode())]
    if error.retry_after is None:
        headers.append(_NO_RETRY)
    else:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if isinstance(error, BudgetSpent):
        headers += ((_LIMIT, error.limit.encode()), (_REMAINING, b"%d" % error.remaining))
    elif isinstance(error, NeverFits | BudgetHeld):
        headers.append((_LIMIT, error.limit.encode()))
    openai_kind, anthropic_kind = error.kinds
    if protocol is WireProtocol.ANTHROPIC:
        status = error.anthropic_status or error.status
        body = {"type": "error", "error": {"type": anthropic_kind, "message": error.message}}
        return status, headers, orjson.dumps(body)
    fault = {
        "message": error.message,
        "type": openai_kind,
        "param": error.parameter,
        "code": error.reason,
    }
    return error.status, headers, orjson.dumps({"error": fault})
