"""The envelopes of MCP messages: our answers, events, and the header fields that all endpoints use."""

import contextlib
import json
import re
from typing import Any, Final

import orjson
from agenttype_api import keys
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_api.v1alpha1 import OnRefusal
from agenttype_proxy import asgi
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers
from agenttype_runtime import json_guard

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import refusals
from agenttype_sidecar.tools.mcp.messages import McpCall, MessageId
from agenttype_sidecar.tools.refusals import ToolRefusal

_REASON: Final = keys.HEADER_REASON.encode()
#: The fast parser turns such a number into a float.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")


def is_stream(answered: Headers) -> bool:
    """Return whether an answer is a stream of events."""
    kind = fields.get(answered, b"content-type") or b""
    return kind.split(b";")[0].strip().lower() == b"text/event-stream"


class NestedTooDeeply(ToolRefusal):
    """A message that is nested too deeply to be written again."""

    status = 400
    reason = RefusalReason.NESTED_TOO_DEEPLY

    def __init__(self) -> None:
        super().__init__("the message is nested too deeply")


def dumped(message: Any) -> bytes:
    """Return JSON; what the fast writer cannot write (huge numbers, half surrogate pairs), the slow one can.

    Raises:
        NestedTooDeeply: Neither can.
    """
    try:
        return orjson.dumps(message)
    except TypeError:
        try:
            return json.dumps(message).encode()
        except RecursionError as error:
            raise NestedTooDeeply from error


def loaded(data: bytes) -> dict[str, Any] | None:
    """Return a server's message, None if it is not an object or has too many parts; numbers keep their size."""
    if json_guard.has_too_many_parts(data):
        return None
    found = None
    if _LONG_NUMBER.search(data) is None:
        with contextlib.suppress(orjson.JSONDecodeError):
            found = orjson.loads(data)
    if found is None:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def reply(identity: MessageId, result: dict[str, Any]) -> bytes:
    """Return the answer to a request."""
    return dumped({"jsonrpc": "2.0", "id": identity, "result": result})


def failure(identity: MessageId, error: dict[str, Any]) -> bytes:
    """Return the error that answers a request."""
    return dumped({"jsonrpc": "2.0", "id": identity, "error": error})


def refused(refusal: Refusal, call: McpCall, said: OnRefusal) -> bytes:
    """Return the answer to a refused request; for a tool call, a result or an error, as its policy says."""
    if call.tool is not None and said is OnRefusal.RESULT:
        return reply(call.identity, refusals.tool_result(refusal))
    return failure(call.identity, refusals.rpc_error(refusal))


def headers(refusal: Refusal) -> Headers:
    """Return the header fields of a refusal."""
    return [refusals.JSON, (_REASON, refusal.reason.encode())]


def event(message: bytes) -> bytes:
    """Return a message as one event of a stream."""
    return b"event: message\ndata: " + message + b"\n\n"


class Sending:
    """Sends an answer, and records whether it has begun."""

    def __init__(self, send: asgi.Send) -> None:
        self.begun = False
        self._send = send

    async def __call__(self, message: asgi.Message) -> None:
        """Send a part of it."""
        self.begun = True
        await self._send(message)


async def wrong_method(send: asgi.Send, methods: tuple[str, ...]) -> None:
    """Answer a method that the path does not support."""
    body = orjson.dumps({"error": {"code": RefusalReason.METHOD_NOT_ALLOWED, "message": f"use {', '.join(methods)}"}})
    allow = (b"allow", ", ".join(methods).encode())
    await asgi.respond(send, 405, [refusals.JSON, allow, (_REASON, RefusalReason.METHOD_NOT_ALLOWED.encode())], body)
