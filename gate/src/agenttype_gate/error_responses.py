"""Our own error responses, in the caller's protocol. Pure."""

from typing import Final

import orjson
from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy.messages import Headers

from agenttype_gate.errors import Refusal, TokenRefused

JSON: Final = (b"content-type", b"application/json")
_REASON: Final = keys.HEADER_REASON.encode()
_NO_RETRY: Final = (keys.HEADER_SHOULD_RETRY.encode(), b"false")


def refusal(error: Refusal, protocol: WireProtocol) -> tuple[int, Headers, bytes]:
    """Return status, headers and body of a refusal.

    A refusal that a retry cannot change says `x-should-retry: false`, which the SDKs obey before anything else.
    """
    headers: Headers = [JSON, (_REASON, error.reason.encode())]
    if error.retry_after is None:
        headers.append(_NO_RETRY)
    else:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if isinstance(error, TokenRefused):
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, orjson.dumps(_body(error, protocol))


def _body(error: Refusal, protocol: WireProtocol) -> dict[str, object]:
    if protocol is WireProtocol.ANTHROPIC:
        return {"type": "error", "error": {"type": error.kind, "message": str(error)}}
    return {"error": {"message": str(error), "type": error.kind, "param": None, "code": error.reason}}
