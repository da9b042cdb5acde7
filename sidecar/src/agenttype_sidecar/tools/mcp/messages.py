"""The Model Context Protocol as far as policy reads it: one JSON-RPC message in, one or many out. Pure.

Both eras of the protocol (2025-11-25 with sessions, 2026-07-28 without) are read from the body. The body decides; a
header that disagrees is refused, so that the server cannot read another tool than we did.
"""

import base64
import binascii
import json
import re
from typing import Any, Final, NamedTuple

import orjson
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_runtime import json_guard

from agenttype_sidecar.tools.mcp.protocol import INVALID_REQUEST, PARSE_ERROR

_ENCODED: Final = "=?base64?"
_SAFE: Final = re.compile(r"[ -~]*")

MessageId = str | int | None

#: Members that policy reads, of a message and of the params of `tools/call`.
_GOVERNED: Final = frozenset({"jsonrpc", "id", "method", "params"})
_GOVERNED_OF_CALL: Final = frozenset({"name", "arguments"})
_RESULT: Final = frozenset({"result"})
_TOOLS: Final = frozenset({"tools"})
#: Signs of a list of tools that is written without the word: escaped, with a letter that is an "s" to readers that
#: ignore case, or in UTF-16, which some readers detect.
_DISGUISES: Final = (b"\\u", "\u017f".encode(), b"\0")


class McpRefusal(Exception):  # noqa: N818 — it is an answer, not an error
    """A JSON-RPC error of ours; `message` is for people and never repeats what the caller sent."""

    def __init__(
        self,
        code: int,
        reason: RefusalReason,
        message: str,
        identity: MessageId = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.identity = identity
        self.data = data or {}

    def body(self) -> bytes:
        """Return the JSON-RPC error object."""
        error = {"code": self.code, "message": self.message, "data": {"code": self.reason, **self.data}}
        # Not orjson: an id can be a number of any size and a text with half a surrogate pair.
        return json.dumps({"jsonrpc": "2.0", "id": self.identity, "error": error}).encode()


class McpCall(NamedTuple):
    """What a message asks for: `tool` is set for `tools/call` alone."""

    method: str
    identity: MessageId
    tool: str | None


def read(body: bytes, named: bytes | None) -> McpCall:
    """Read a message that the agent sends.

    Args:
        body: the request's body.
        named: value of the header `mcp-name`, where there is one.

    Raises:
        McpRefusal: The body is not one unambiguous message, or the header names another tool than the body.
    """
    return read_call(parsed(body), named)


def parsed(body: bytes) -> dict[str, Any]:
    """Return the one message of a body.

    Raises:
        McpRefusal: It is not one message, can be read in two ways, or would take too much memory to read.
    """
    if json_guard.has_too_many_parts(body):
        text = f"the message has more than {json_guard.MOST_PARTS} members, elements, objects and arrays"
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, text)
    try:
        # Decoded here, because json.loads would guess other encodings, and the server might guess differently.
        message = _read(body.decode())
    except (ValueError, RecursionError) as error:
        raise McpRefusal(
            PARSE_ERROR, RefusalReason.PARSE_ERROR, "the body is not one unambiguous JSON message"
        ) from error
    if not isinstance(message, dict):
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "send one JSON-RPC message, not a batch")
    _check_spelling(message, _GOVERNED)
    return message


def read_call(message: dict[str, Any], named: bytes | None) -> McpCall:
    """Return what a message asks for; arguments and errors are those of `read`."""
    identity = message.get("id")
    if not isinstance(identity, str | int | None) or isinstance(identity, bool):
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "the id must be a string or a number")
    method = message.get("method", "")
    if not isinstance(method, str):
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "the method must be a string", identity)
    if method != "tools/call":
        return McpCall(method, identity, None)
    params = message.get("params")
    if isinstance(params, dict):
        _check_spelling(params, _GOVERNED_OF_CALL)
    tool = params.get("name") if isinstance(params, dict) else None
    if not isinstance(tool, str):
        raise McpRefusal(
            INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "params.name must be the name of a tool", identity
        )
    if named is not None and decoded(named) != tool:
        raise McpRefusal(
            INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "the header mcp-name names another tool", identity
        )
    return McpCall(method, identity, tool)


def filtered(message: bytes, allowed: re.Pattern[str]) -> bytes:
    """Return a server's message without the tools that the agent may not see; other messages pass unchanged.

    Every list of tools is filtered, not only the answer to our request: an old server can repeat an answer on another
    stream.
    """
    if b'"tools"' not in message.lower() and not any(sign in message for sign in _DISGUISES):
        return message
    if json_guard.has_too_many_parts(message):
        return b""
    try:
        found = orjson.loads(message)
    except orjson.JSONDecodeError:
        return b""  # no client needs unreadable JSON, and a list must not pass as broken JSON
    batch = found if isinstance(found, list) else [found]
    if any(map(_is_misspelt, batch)):
        return b""
    listed = [_filter(each, allowed) for each in batch]
    return orjson.dumps(found) if any(listed) else message


def failed(message: bytes) -> bool:
    """Return whether a server's answer to `tools/call` says that the tool failed."""
    if (b'"error"' not in message and b'"isError"' not in message) or json_guard.has_too_many_parts(message):
        return False
    try:
        found = orjson.loads(message)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(found, dict):
        return False
    result = found.get("result")
    return "error" in found or (isinstance(result, dict) and result.get("isError") is True)


def _is_misspelt(message: Any) -> bool:
    """Return whether a reader that ignores case could find a list of tools where we find none."""
    if not isinstance(message, dict):
        return False
    result = message.get("result")
    return _differs(message, _RESULT) or (isinstance(result, dict) and _differs(result, _TOOLS))


def _filter(message: Any, allowed: re.Pattern[str]) -> bool:
    """Remove the tools that are not allowed from a message; return whether it lists tools."""
    result = message.get("result") if isinstance(message, dict) else None
    if not isinstance(result, dict) or not isinstance(result.get("tools"), list):
        return False
    result["tools"] = [tool for tool in result["tools"] if _visible(tool, allowed)]
    return True


def _visible(tool: Any, allowed: re.Pattern[str]) -> bool:
    name = tool.get("name") if isinstance(tool, dict) else None
    return isinstance(name, str) and allowed.fullmatch(name) is not None


def header_value(text: str) -> bytes:
    """Return a text as the value of a header field, encoded if it could not be sent unchanged."""
    if _SAFE.fullmatch(text) and text == text.strip() and not text.startswith(_ENCODED):
        return text.encode()
    return b"=?base64?%s?=" % base64.b64encode(text.encode(errors="surrogatepass"))


def decoded(header: bytes) -> str | None:
    """Return the text that the value of a header field stands for, None if it cannot be decoded."""
    text = header.decode("latin-1")
    if not text.startswith(_ENCODED):
        return text
    try:
        return base64.b64decode(text.removeprefix(_ENCODED).removesuffix("?="), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _check_spelling(members: dict[str, Any], governed: frozenset[str]) -> None:
    """Refuse a member that differs from one of ours only in case: some servers ignore case, and take the last."""
    if _differs(members, governed):
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "write JSON-RPC's members in lower case")


def _differs(members: dict[str, Any], governed: frozenset[str]) -> bool:
    return any(name not in governed and name.casefold() in governed for name in members)


_read: Final = json_guard.strict_decoder().decode
