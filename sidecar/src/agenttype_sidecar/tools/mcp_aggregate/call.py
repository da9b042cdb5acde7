"""A tool call at the aggregate endpoint: find its server, call it, and write its answer in the caller's era."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from agenttype_api.refusal_reasons import RefusalReason
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.sse import Event

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import call_checks, policy_rules, refusals
from agenttype_sidecar.tools.call_checks import RunningCall, Subject, ToolCalls, ToolServices
from agenttype_sidecar.tools.mcp import envelopes, parameters
from agenttype_sidecar.tools.mcp.mcp_client import McpClient, PeerRequest
from agenttype_sidecar.tools.mcp.messages import McpRefusal
from agenttype_sidecar.tools.mcp.protocol import HEADER_MISMATCH, INVALID_PARAMS
from agenttype_sidecar.tools.mcp_aggregate import names
from agenttype_sidecar.tools.mcp_aggregate.catalog import ServerTools
from agenttype_sidecar.tools.mcp_aggregate.reply import Reply
from agenttype_sidecar.tools.mcp_aggregate.request import McpRequest
from agenttype_sidecar.tools.refusals import ToolNotAllowed, ToolTimedOut, ToolUnavailable


class _Found(NamedTuple):
    """The server of a tool, the tool's own name, and its schema if the server has listed it."""

    server_tools: ServerTools
    tool: str
    schema: Any


class AggregateCalls:
    """Calls tools of all servers."""

    def __init__(self, services: ToolServices, tool_calls: ToolCalls) -> None:
        self._services = services
        self._calls = tool_calls

    async def answer(self, request: McpRequest, by_server: Mapping[str, ServerTools], reply: Reply) -> None:
        """Answer a call.

        Raises:
            McpRefusal: There is no such tool, or the request contradicts itself.
        """
        found = await _found(request, by_server)
        server = found.server_tools.peer.server
        try:
            if server.allowed.fullmatch(found.tool) is None:
                raise ToolNotAllowed
            _check_parameters(request, found)
            subject = _subject(request, found)
            async with self._calls.running(subject) as running:
                answer = await self._ask_server(request, found, running, reply)
                said = request.answer(answer)
            await reply.end(*said)
        except Refusal as refusal:
            self._services.metrics.refused(refusal.reason)
            refused = envelopes.refused(refusal, request.call, server.policy.on_refusal)
            await reply.end(refused, headers=envelopes.headers(refusal)[1:])

    async def _ask_server(
        self, request: McpRequest, found: _Found, running: RunningCall, reply: Reply
    ) -> dict[str, Any]:
        """Send the call to its server.

        Raises:
            Refusal: There is no answer.
        """
        if found.server_tools.is_quiet:
            running.sent = False
            raise ToolUnavailable
        outgoing = self._peer_request(request, found, running, reply)
        running.sent = not request.in_flight.is_cancelled
        try:
            answer = await request.in_flight.ask(lambda: _in_time(found.server_tools.peer, outgoing, running.seconds))
        except UpstreamError as error:
            running.sent = error.dispatched
            if not error.dispatched:
                found.server_tools.failed()
            raise refusals.of_wire(error, outgoing.limit) from error
        except TimeoutError as error:
            raise ToolTimedOut from error
        if running.rule_check.looks_at_results:
            running.rule_check.result(envelopes.dumped(answer))
        result = answer.get("result")
        if "error" in answer or (isinstance(result, dict) and result.get("isError") is True):
            running.outcome = "tool_error"
        return answer

    def _peer_request(self, request: McpRequest, found: _Found, running: RunningCall, reply: Reply) -> PeerRequest:
        async def on_event(event: Event, message: dict[str, Any] | None) -> None:
            running.rule_check.event(event)
            if message is not None or not event.data:
                await reply.before(message)

        meta, arguments = request.params.get("_meta"), request.params.get("arguments")
        kept = {name: value for name, value in request.params.items() if name not in ("name", "task")}
        return PeerRequest(
            method="tools/call",
            params={"name": found.tool, **kept},
            deadlines=running.deadlines,
            limit=running.result_limit,
            named=found.tool,
            incoming=request.incoming,
            parameters=parameters.fields(found.schema, arguments),
            session="" if request.session is None else request.session.identity,
            token=meta.get("progressToken") if isinstance(meta, dict) else None,
            on_event=on_event,
        )


def _subject(request: McpRequest, found: _Found) -> Subject:
    server = found.server_tools.peer.server
    said = {"params": {**request.params, "name": found.tool}}
    return Subject(
        server, found.tool, call_checks.label(server, found.tool), request.body, lambda: policy_rules.texts_of(said)
    )


async def _in_time(peer: McpClient, outgoing: PeerRequest, seconds: float) -> dict[str, Any]:
    """Bound a request in all; it may take several messages, each with its own deadline."""
    async with asyncio.timeout(seconds):
        return await peer.ask(outgoing)


async def _found(request: McpRequest, by_server: Mapping[str, ServerTools]) -> _Found:
    name = request.call.tool or ""
    named = names.split(name)
    server_tools = None if named is None else by_server.get(named.server)
    if named is not None and server_tools is not None:
        definition = (await server_tools.known()).get(name)
        if definition is not None:
            return _Found(server_tools, definition["name"], definition["inputSchema"])
        if named.tool is not None:
            return _Found(server_tools, named.tool, None)
    raise McpRefusal(
        INVALID_PARAMS, RefusalReason.TOOL_NOT_FOUND, "no tool of this name is offered", request.call.identity
    )


def _check_parameters(request: McpRequest, found: _Found) -> None:
    if request.modern and not parameters.agrees(found.schema, request.params.get("arguments"), request.incoming):
        text = "a field Mcp-Param-… does not say what the body says"
        raise McpRefusal(HEADER_MISMATCH, RefusalReason.HEADER_MISMATCH, text, request.call.identity)
