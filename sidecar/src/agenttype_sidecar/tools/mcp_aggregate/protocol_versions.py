"""What a request to the aggregate endpoint must say in either era. Pure."""

import re
from typing import Any, Final

from agenttype_api.refusal_reasons import RefusalReason
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers

from agenttype_sidecar.tools.mcp import messages, protocol
from agenttype_sidecar.tools.mcp.messages import McpRefusal, MessageId
from agenttype_sidecar.tools.mcp.protocol import (
    HANDSHAKES,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    MODERN,
    UNSUPPORTED_VERSION,
)

_PLAIN: Final = re.compile(r"[0-9A-Za-z.-]{1,32}")
_ROUTING: Final = (protocol.VERSION, protocol.METHOD, protocol.NAME, protocol.SESSION)


def is_modern(message: dict[str, Any], incoming: Headers) -> bool:
    """Return whether a request speaks the newer era, and check that its fields and body agree.

    Raises:
        McpRefusal: Its fields and its body disagree, or its version is not supported.
    """
    identity = _identity(message)
    if any(len(fields.every(incoming, name)) > 1 for name in _ROUTING):
        raise McpRefusal(
            HEADER_MISMATCH, RefusalReason.HEADER_MISMATCH, "send each MCP header field only once", identity
        )
    field = fields.get(incoming, protocol.VERSION)
    version, claimed = None if field is None else field.decode("latin-1"), _claimed(message)
    if version in HANDSHAKES or (version is None and claimed is None):
        return False
    if version is not None and (claimed is None or "id" not in message):
        _check_version(version, identity)
    if "id" not in message:
        return True
    _check_envelope(message, incoming, identity)
    _check_version(claimed, identity)
    return True


def _claimed(message: dict[str, Any]) -> Any:
    return _meta(message).get(protocol.META_VERSION)


def _meta(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def _check_envelope(message: dict[str, Any], incoming: Headers, identity: MessageId) -> None:
    meta = _meta(message)
    missing = [name for name in (protocol.META_VERSION, protocol.META_CAPABILITIES) if name not in meta]
    if missing:
        text = f"params._meta lacks {' and '.join(missing)}"
        raise McpRefusal(INVALID_PARAMS, RefusalReason.INVALID_PARAMS, text, identity)
    params, method = message["params"], message.get("method")
    expected = [(protocol.VERSION, meta[protocol.META_VERSION]), (protocol.METHOD, method)]
    if method == "tools/call":
        expected.append((protocol.NAME, params.get("name")))
    for name, value in expected:
        said = fields.get(incoming, name)
        if said is None or messages.decoded(said) != value:
            text = f"the header field {name.decode()} does not agree with the body"
            raise McpRefusal(HEADER_MISMATCH, RefusalReason.HEADER_MISMATCH, text, identity)


def _check_version(version: Any, identity: MessageId) -> None:
    if version != MODERN:
        requested = version if isinstance(version, str) and _PLAIN.fullmatch(version) else ""
        data = {"supported": list(protocol.SUPPORTED), "requested": requested}
        raise McpRefusal(
            UNSUPPORTED_VERSION,
            RefusalReason.UNSUPPORTED_PROTOCOL_VERSION,
            "Unsupported protocol version",
            identity,
            data,
        )


def _identity(message: dict[str, Any]) -> MessageId:
    identity = message.get("id")
    return identity if isinstance(identity, str | int) and not isinstance(identity, bool) else None
