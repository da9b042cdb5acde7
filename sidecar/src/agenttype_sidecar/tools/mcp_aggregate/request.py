"""One request to the aggregate endpoint, and its answer in the caller's era. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from agenttype_proxy.messages import Headers

from agenttype_sidecar.tools.mcp import envelopes, protocol
from agenttype_sidecar.tools.mcp.mcp_client import IDENTITY
from agenttype_sidecar.tools.mcp.messages import McpCall
from agenttype_sidecar.tools.mcp_aggregate.catalog import FRESH, Definition
from agenttype_sidecar.tools.mcp_aggregate.sessions import InFlight, Session
from agenttype_sidecar.tools.refusals import ToolUnavailable

_STATUSES: Final = {
    protocol.PARSE_ERROR: 400,
    protocol.INVALID_REQUEST: 400,
    protocol.HEADER_MISMATCH: 400,
    protocol.MISSING_CAPABILITY: 400,
    protocol.UNSUPPORTED_VERSION: 400,
    protocol.NO_SESSION: 404,
}
#: In the newer era these have a status too.
_MODERN_STATUSES: Final = {protocol.INVALID_PARAMS: 400, protocol.METHOD_NOT_FOUND: 404}


@dataclass(frozen=True, slots=True)
class McpRequest:
    """A request that has been read.

    Attributes:
        call: What it asks for.
        params: Its params, empty where it has none.
        body: The whole message.
        incoming: Its header fields.
        session: Its session; None in the newer era, and before there is one.
        modern: Whether it speaks the newer era.
        in_flight: By which it can be cancelled.
    """

    call: McpCall
    params: dict[str, Any]
    body: bytes
    incoming: Headers
    session: Session | None
    modern: bool
    in_flight: InFlight = field(default_factory=InFlight)

    def result(self, result: dict[str, Any], *, cached: bool = False) -> bytes:
        """Return the answer with our own result; `cached` says that the caller may cache it."""
        if self.modern:
            result = {**result, "resultType": "complete", "_meta": {protocol.META_SERVER: IDENTITY}}
            if cached:
                result |= {"ttlMs": int(FRESH * 1000), "cacheScope": "private"}
        return envelopes.reply(self.call.identity, result)

    def definition(self, tool: Definition) -> Definition:
        """Return a tool as callers of this era can read it: the older era only knows outputs that are objects."""
        output = tool.get("outputSchema")
        if self.modern or output is None or (isinstance(output, dict) and output.get("type") == "object"):
            return tool
        return {name: value for name, value in tool.items() if name != "outputSchema"}

    def answer(self, answer: dict[str, Any]) -> tuple[bytes, int]:
        """Return a server's answer as this caller can read it, and its HTTP status.

        Raises:
            ToolUnavailable: It is not an answer, or asks the agent for something.
        """
        error, result = answer.get("error"), answer.get("result")
        if isinstance(error, dict) and isinstance(error.get("code"), int):
            return envelopes.failure(self.call.identity, error), status(error["code"], modern=self.modern)
        if not isinstance(result, dict):
            raise ToolUnavailable
        if result.get("resultType", "complete") != "complete":
            raise ToolUnavailable("the tool asks the agent for input; use its server's own endpoint")
        if self.modern:
            result = {**result, "resultType": "complete"}
        elif not isinstance(result.get("structuredContent", {}), dict):
            result = {name: value for name, value in result.items() if name != "structuredContent"}
        return envelopes.reply(self.call.identity, result), 200


def status(code: int, *, modern: bool) -> int:
    """Return the HTTP status that goes with a JSON-RPC error."""
    found = _STATUSES.get(code)
    if found is None and modern:
        found = _MODERN_STATUSES.get(code)
    return found or 200
