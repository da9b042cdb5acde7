"""A call of a tool at the merged endpoint: find whose it is, ask the server, say its answer in the caller's era."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from agenttype_api.refusal_reasons import RefusalReason
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.sse import Event

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import calls, refusals, rule_checks
from agenttype_sidecar.tools.calls import RunningCall, Subject, ToolCalls, ToolServices
from agenttype_sidecar.tools.mcp import envelopes, parameters
from agenttype_sidecar.tools.mcp.messages import McpRefusal
from agenttype_sidecar.tools.mcp.peer import Peer, PeerRequest
from agenttype_sidecar.tools.mcp.protocol import HEADER_MISMATCH, INVALID_PARAMS
from agenttype_sidecar.tools.mcp_aggregate import names
from agenttype_sidecar.tools.mcp_aggregate.catalog import ServerTools
from agenttype_sidecar.tools.mcp_aggregate.reply import Reply
from agenttype_sidecar.tools.mcp_aggregate.request import McpRequest
from agenttype_sidecar.tools.refusals import ToolNotAllowed, ToolTimedOut, ToolUnavailable


class _Found(NamedTuple):
    """Where a tool is, its own name, and its schema as far as its server has told it."""

    shelf: ServerTools
    tool: str
    schema: Any


class MergedCalls:
    """Calls tools of whichever server has them."""

    def __init__(self, services: ToolServices, tool_calls: ToolCalls) -> None:
        self._services = services
        self._calls = tool_calls

    async def answer(self, asked: McpRequest, shelves: Mapping[str, ServerTools], reply: Reply) -> None:
        """Answer a call.

        Raises:
            McpRefusal: There is no such tool, or the request contradicts itself.
        """
        found = await _found(asked, shelves)
        server = found.shelf.peer.server
        try:
            if server.allowed.fullmatch(found.tool) is None:
                raise ToolNotAllowed
            _check_parameters(asked, found)
            subject = _subject(asked, found)
            async with self._calls.running(subject) as running:
                answer = await self._asked(asked, found, running, reply)
                said = asked.answer(answer)
            await reply.end(*said)
        except Refusal as refusal:
            self._services.metrics.refused(refusal.reason)
            refused = envelopes.refused(refusal, asked.call, server.policy.on_refusal)
            await reply.end(refused, headers=envelopes.headers(refusal)[1:])

    async def _asked(self, asked: McpRequest, found: _Found, running: RunningCall, reply: Reply) -> dict[str, Any]:
        """Ask the server.

        Raises:
            Refusal: There is no answer.
        """
        if found.shelf.is_quiet:
            running.sent = False
            raise ToolUnavailable
        ask = self._ask(asked, found, running, reply)
        running.sent = not asked.flight.is_off
        try:
            answer = await asked.flight.ask(lambda: _in_time(found.shelf.peer, ask, running.seconds))
        except UpstreamError as error:
            running.sent = error.dispatched
            if not error.dispatched:
                found.shelf.failed()
            raise refusals.of_wire(error, ask.limit) from error
        except TimeoutError as error:
            raise ToolTimedOut from error
        if running.rule_check.looks_at_results:
            running.rule_check.result(envelopes.dumped(answer))
        result = answer.get("result")
        if "error" in answer or (isinstance(result, dict) and result.get("isError") is True):
            running.outcome = "tool_error"
        return answer

    def _ask(self, asked: McpRequest, found: _Found, running: RunningCall, reply: Reply) -> PeerRequest:
        async def hear(event: Event, message: dict[str, Any] | None) -> None:
            running.rule_check.event(event)
            if message is not None or not event.data:
                await reply.before(message)

        meta, arguments = asked.params.get("_meta"), asked.params.get("arguments")
        kept = {name: value for name, value in asked.params.items() if name not in ("name", "task")}
        return PeerRequest(
            method="tools/call",
            params={"name": found.tool, **kept},
            deadlines=running.deadlines,
            limit=running.result_limit,
            named=found.tool,
            incoming=asked.incoming,
            parameters=parameters.fields(found.schema, arguments),
            session="" if asked.session is None else asked.session.identity,
            token=meta.get("progressToken") if isinstance(meta, dict) else None,
            hear=hear,
        )


def _subject(asked: McpRequest, found: _Found) -> Subject:
    server = found.shelf.peer.server
    said = {"params": {**asked.params, "name": found.tool}}
    return Subject(server, found.tool, calls.label(server, found.tool), asked.body, lambda: rule_checks.texts_of(said))


async def _in_time(peer: Peer, ask: PeerRequest, seconds: float) -> dict[str, Any]:
    """Bound what may take several messages, each with a time of its own."""
    async with asyncio.timeout(seconds):
        return await peer.ask(ask)


async def _found(asked: McpRequest, shelves: Mapping[str, ServerTools]) -> _Found:
    name = asked.call.tool or ""
    named = names.parted(name)
    shelf = None if named is None else shelves.get(named.server)
    if named is not None and shelf is not None:
        definition = (await shelf.known()).get(name)
        if definition is not None:
            return _Found(shelf, definition["name"], definition["inputSchema"])
        if named.tool is not None:
            return _Found(shelf, named.tool, None)
    raise McpRefusal(
        INVALID_PARAMS, RefusalReason.TOOL_NOT_FOUND, "no tool of this name is offered", asked.call.identity
    )


def _check_parameters(asked: McpRequest, found: _Found) -> None:
    if asked.modern and not parameters.agrees(found.schema, asked.params.get("arguments"), asked.incoming):
        text = "a field Mcp-Param-… does not say what the body says"
        raise McpRefusal(HEADER_MISMATCH, RefusalReason.HEADER_MISMATCH, text, asked.call.identity)
