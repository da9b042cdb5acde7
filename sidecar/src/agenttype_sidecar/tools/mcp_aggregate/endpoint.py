"""All MCP servers of a policy as one, at `/mcp`: their allowed tools in one list, in both eras of the protocol.

This endpoint is a server of its own: it answers requests that are not about one tool, keeps sessions for callers of the
older era, and calls the servers behind it as a client of their era. It offers tools only; prompts, resources and
requests to the agent belong to the servers' own endpoints.
"""

import base64
import binascii
import contextlib
from collections.abc import Iterator
from typing import Any, Final

from agenttype_api.policy import ToolProtocol
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_proxy import asgi
from agenttype_proxy import headers as fields
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import refusals
from agenttype_sidecar.tools.call_checks import ToolCalls, ToolServices
from agenttype_sidecar.tools.mcp import envelopes, messages, protocol
from agenttype_sidecar.tools.mcp.gateway import BODY_LIMIT, BODY_SECONDS
from agenttype_sidecar.tools.mcp.mcp_client import IDENTITY
from agenttype_sidecar.tools.mcp.messages import McpCall, McpRefusal
from agenttype_sidecar.tools.mcp.protocol import (
    HANDSHAKE,
    HANDSHAKES,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NO_SESSION,
)
from agenttype_sidecar.tools.mcp_aggregate import protocol_versions, request
from agenttype_sidecar.tools.mcp_aggregate.call import AggregateCalls
from agenttype_sidecar.tools.mcp_aggregate.catalog import Catalog
from agenttype_sidecar.tools.mcp_aggregate.reply import Reply
from agenttype_sidecar.tools.mcp_aggregate.request import McpRequest
from agenttype_sidecar.tools.mcp_aggregate.sessions import Session, Sessions
from agenttype_sidecar.tools.servers import ToolServer

#: Tools in one page of a list; few clients ask for a second page.
PAGE: Final = 500
_METHODS: Final = ("POST", "DELETE")
_OFFERED: Final[dict[str, Any]] = {"tools": {}}


class AggregateEndpoint:
    """A bare ASGI app for `/mcp`."""

    def __init__(self, services: ToolServices, tool_calls: ToolCalls) -> None:
        """Serve the MCP servers of the policy that is in use at each call."""
        self._services = services
        self._catalog = Catalog(services.client, services.tool_metrics)
        self._sessions = Sessions()
        self._calls = AggregateCalls(services, tool_calls)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        try:
            if scope["method"] == "DELETE":
                await self._end_session(scope["headers"], send)
            elif scope["method"] == "POST":
                await self._take(scope, receive, send)
            else:
                await envelopes.wrong_method(send, _METHODS)
        except McpRefusal as refusal:
            self._services.metrics.refused(refusal.reason)
            await asgi.respond(send, request.status(refusal.code, modern=True), [refusals.JSON], refusal.body())
        except (BodyTooLarge, BodyTimeout) as error:
            await self._services.refuse(refusals.of_wire(error, BODY_LIMIT), send)
        except Refusal as refusal:
            await self._services.refuse(refusal, send)
        except CallerGone:
            pass  # the caller is gone

    async def _take(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        incoming: Headers = scope["headers"]
        if fields.is_encoded(incoming):
            raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "the message must not be encoded")
        body = await asgi.read_body(receive, limit=BODY_LIMIT, timeout=BODY_SECONDS)
        message = messages.parsed(body)
        _check_shape(message)
        modern = protocol_versions.is_modern(message, incoming)
        call = messages.read_call(message, fields.get(incoming, protocol.NAME))
        session = None if modern or call.method == "initialize" else self._session(call, incoming)
        if not _is_request(message):
            _notice(message, call, session)
            await asgi.respond(send, 202, [], b"")
            return
        mcp_request = McpRequest(call, _params(message), body, incoming, session, modern)
        reply = Reply(incoming, send)
        with _in_flight(mcp_request):
            try:
                async with asgi.cancel_on_disconnect(receive):
                    await self._answer(mcp_request, reply)
            except McpRefusal as refusal:
                self._services.metrics.refused(refusal.reason)
                await reply.end(refusal.body(), request.status(refusal.code, modern=modern))

    async def _answer(self, mcp_request: McpRequest, reply: Reply) -> None:
        match mcp_request.call.method:
            case "tools/call":
                await self._calls.answer(mcp_request, self._catalog.by_server(self._servers()), reply)
            case "tools/list":
                await reply.end(mcp_request.result(await self._listed(mcp_request), cached=True))
            case "server/discover" if mcp_request.modern:
                offered = {"supportedVersions": list(protocol.SUPPORTED), "capabilities": _OFFERED}
                await reply.end(mcp_request.result(offered, cached=True))
            case "initialize" if not mcp_request.modern:
                await self._initialize(mcp_request, reply)
            case "ping" if not mcp_request.modern:
                await reply.end(mcp_request.result({}))
            case _:
                text = "this endpoint offers tools only; a server's own endpoint is /mcp/<its name>"
                raise McpRefusal(METHOD_NOT_FOUND, RefusalReason.METHOD_NOT_FOUND, text, mcp_request.call.identity)

    async def _listed(self, mcp_request: McpRequest) -> dict[str, Any]:
        after = _position(mcp_request)
        found = [tool for tool in await self._catalog.tools(self._servers()) if tool["name"] > after]
        result: dict[str, Any] = {"tools": [mcp_request.definition(tool) for tool in found[:PAGE]]}
        if len(found) > PAGE:
            result["nextCursor"] = base64.urlsafe_b64encode(found[PAGE - 1]["name"].encode()).decode()
        return result

    def _servers(self) -> list[ToolServer]:
        return list(self._services.servers.speaking(ToolProtocol.MCP, self._services.policies.active.policy).values())

    # sessions

    async def _initialize(self, mcp_request: McpRequest, reply: Reply) -> None:
        version = mcp_request.params.get("protocolVersion")
        session, ended = self._sessions.opened()
        for each in ended:
            self._left(each)
        agreed = version if version in HANDSHAKES else HANDSHAKE
        result = {"protocolVersion": agreed, "capabilities": _OFFERED, "serverInfo": IDENTITY}
        await reply.end(mcp_request.result(result), headers=[(protocol.SESSION, session.identity.encode())])

    def _session(self, call: McpCall, incoming: Headers) -> Session:
        named = fields.get(incoming, protocol.SESSION)
        if named is None:
            text = "send the Mcp-Session-Id that came with the answer to initialize"
            raise McpRefusal(INVALID_REQUEST, RefusalReason.SESSION_MISSING, text, call.identity)
        session = self._sessions.get(named)
        if session is None:
            text = "there is no such session here; initialize opens one"
            raise McpRefusal(NO_SESSION, RefusalReason.SESSION_NOT_FOUND, text, call.identity)
        return session

    async def _end_session(self, incoming: Headers, send: asgi.Send) -> None:
        session = self._sessions.closed(fields.get(incoming, protocol.SESSION) or b"")
        if session is None:
            raise McpRefusal(NO_SESSION, RefusalReason.SESSION_NOT_FOUND, "there is no such session here")
        self._left(session)
        await asgi.respond(send, 204, [], b"")

    def _left(self, session: Session) -> None:
        for in_flight in session.running.values():
            in_flight.cancel()
        for server_tools in self._catalog.by_server(self._servers()).values():
            server_tools.peer.leave(session.identity)


def _notice(message: dict[str, Any], call: McpCall, session: Session | None) -> None:
    """Handle a message without an answer: only a cancellation has an effect."""
    if call.method == "notifications/cancelled" and session is not None:
        identity = _params(message).get("requestId")
        is_one = isinstance(identity, str | int) and not isinstance(identity, bool)
        in_flight = session.running.get(identity) if is_one else None
        if in_flight is not None:
            in_flight.cancel()


def _params(message: dict[str, Any]) -> dict[str, Any]:
    params = message.get("params")
    return params if isinstance(params, dict) else {}


def _is_request(message: dict[str, Any]) -> bool:
    return "id" in message and "method" in message


def _check_shape(message: dict[str, Any]) -> None:
    """Refuse a message that is not exactly one of request, notification or answer."""
    answers = "result" in message or "error" in message
    if message.get("jsonrpc") != "2.0" or answers == ("method" in message) or (answers and "id" not in message):
        text = 'the message must have "jsonrpc": "2.0", and either a method, or an id with a result or an error'
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, text)
    if not isinstance(message.get("params"), dict | None):
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "params must be an object")


@contextlib.contextmanager
def _in_flight(mcp_request: McpRequest) -> Iterator[None]:
    """Register a request while it is answered: the caller may cancel it, and must not reuse its id."""
    identity, session = mcp_request.call.identity, mcp_request.session
    if identity is None:
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "the id must be a string or a number")
    if session is None:
        yield
        return
    if identity in session.running:
        raise McpRefusal(
            INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "a request of this id is still running", identity
        )
    session.running[identity] = mcp_request.in_flight
    try:
        yield
    finally:
        del session.running[identity]


def _position(mcp_request: McpRequest) -> str:
    """Return the name after which the page begins."""
    cursor = mcp_request.params.get("cursor")
    if cursor is None:
        return ""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (TypeError, ValueError, binascii.Error) as error:
        text = "the cursor is not valid; begin again without one"
        raise McpRefusal(INVALID_PARAMS, RefusalReason.INVALID_CURSOR, text, mcp_request.call.identity) from error
