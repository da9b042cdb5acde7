"""The tools of all MCP servers of a policy, in one list; a server that does not answer hides only its own tools."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from agenttype_proxy.client import Client
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.messages import Deadlines

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools.mcp import envelopes
from agenttype_sidecar.tools.mcp.mcp_client import McpClient, PeerRequest
from agenttype_sidecar.tools.mcp_aggregate import names
from agenttype_sidecar.tools.metrics import ToolMetrics
from agenttype_sidecar.tools.refusals import ToolUnavailable
from agenttype_sidecar.tools.servers import ToolServer

#: How long a list is valid, in seconds.
FRESH: Final = 10.0
#: How long a list waits for a server, in seconds; a slower server appears in a later list.
MAX_WAIT: Final = 5.0
_LONGEST: Final = 30.0
_DEADLINES: Final = Deadlines(connect=2.0, first_byte=_LONGEST, idle=_LONGEST, total=_LONGEST)
_SHORTEST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_PAGES: Final = 64
_TOOLS: Final = 2048
_PAGE_BYTES: Final = 4 * 1024 * 1024
_BYTES: Final = 8 * 1024 * 1024

Definition = dict[str, Any]


class ServerTools:
    """The tools of one server."""

    def __init__(self, peer: McpClient, metrics: ToolMetrics) -> None:
        self.peer = peer
        self._metrics = metrics
        self._tools: dict[str, Definition] = {}
        self._fresh_until = 0.0
        self._quiet_until = 0.0
        self._pause = 0.0
        self._refresh_task: asyncio.Task[None] | None = None
        self._late = False

    async def tools(self) -> dict[str, Definition]:
        """Return the allowed tools by their aggregate names; none while the server does not answer."""
        old = self.peer.list_is_old or time.monotonic() >= self._fresh_until
        if old and not self.is_quiet:
            await self._refreshed()
        return {} if self.is_quiet or self._late else self._tools

    async def known(self) -> dict[str, Definition]:
        """Return the server's last list, however old; ask the server only if there is none."""
        if not self._tools:
            await self.tools()
        return self._tools

    @property
    def is_quiet(self) -> bool:
        """Whether the server did not answer recently, and gets no requests for a while."""
        return time.monotonic() < self._quiet_until

    def failed(self) -> None:
        """Pause requests to the server, longer each time."""
        self._pause = min(_LONGEST_PAUSE, max(_SHORTEST_PAUSE, 2 * self._pause))
        self._quiet_until = time.monotonic() + self._pause
        self._fresh_until = 0.0
        self.peer.server.answers = False

    def worked(self) -> None:
        """Record that the server answers."""
        self._pause = self._quiet_until = 0.0
        self.peer.server.answers = True

    async def _refreshed(self) -> None:
        """Wait for a new list, shared with other waiting calls; do not wait for one that is already late."""
        if self._refresh_task is None:
            self._refresh_task = asyncio.get_running_loop().create_task(self._refresh())
        if self._late:
            return
        refresh = self._refresh_task
        await asyncio.wait({refresh}, timeout=MAX_WAIT)
        if self._refresh_task is refresh and not self._late:
            self._late = True
            self._metrics.not_listed(self.peer.server.name)

    async def _refresh(self) -> None:
        self.peer.list_is_old = False
        name = self.peer.server.name
        try:
            async with asyncio.timeout(_LONGEST):
                found = await self._listed()
        except (UpstreamError, Refusal, TimeoutError):
            self.peer.forget()
            self.failed()
            self._metrics.not_listed(name)
        else:
            self._metrics.changed(name, _changes(self._tools, found))
            self._tools = found
            self._fresh_until = time.monotonic() + FRESH
            self.worked()
        finally:
            self._refresh_task = None
            self._late = False

    async def _listed(self) -> dict[str, Definition]:
        found: dict[str, Definition] = {}
        size = 0
        peer_request = PeerRequest("tools/list", {}, _DEADLINES, _PAGE_BYTES)
        for _ in range(_PAGES):
            answer = await self.peer.ask(peer_request)
            result = answer.get("result")
            if not isinstance(result, dict) or not isinstance(result.get("tools"), list):
                raise ToolUnavailable
            found |= _offered(self.peer.server, result["tools"])
            size += len(envelopes.dumped(result["tools"]))  # refuses what could not be passed on
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str) or len(found) >= _TOOLS or size >= _BYTES:
                break
            peer_request = replace(peer_request, params={"cursor": cursor})
        return found


class Catalog:
    """The tools of all servers of a policy."""

    def __init__(self, client: Client, metrics: ToolMetrics) -> None:
        self._client = client
        self._metrics = metrics
        self._by_server: dict[str, ServerTools] = {}

    def by_server(self, servers: Iterable[ToolServer]) -> dict[str, ServerTools]:
        """Return the tools of each server by its name; a changed server gets a new entry."""
        self._by_server = {server.name: self._server_tools(server) for server in servers}
        return self._by_server

    async def tools(self, servers: Iterable[ToolServer]) -> list[Definition]:
        """Return the tools of all servers that answer, sorted by name."""
        by_server = self.by_server(servers).values()
        offered = await asyncio.gather(*(server_tools.tools() for server_tools in by_server))
        found = {name: tool for tools in offered for name, tool in tools.items()}
        return [{**found[name], "name": name} for name in sorted(found)]

    def _server_tools(self, server: ToolServer) -> ServerTools:
        kept = self._by_server.get(server.name)
        if kept is not None and kept.peer.server is server:
            return kept
        return ServerTools(McpClient(server, self._client), self._metrics)


def _offered(server: ToolServer, tools: list[Any]) -> dict[str, Definition]:
    """Return the tools that the agent may see by their aggregate names, each with the server's own name."""
    found = {}
    for tool in tools:
        if not isinstance(tool, dict) or not isinstance(tool.get("inputSchema"), dict):
            continue
        name, execution = tool.get("name"), tool.get("execution")
        if not isinstance(name, str) or server.allowed.fullmatch(name) is None:
            continue
        if isinstance(execution, dict) and execution.get("taskSupport") == "required":
            continue  # tasks are not passed on, so it cannot be called
        found[names.aggregate_name(server.name, name)] = {
            key: value for key, value in tool.items() if key != "execution"
        }
    return found


def _changes(before: dict[str, Definition], after: dict[str, Definition]) -> int:
    """Return how many tools have another description than before: a server may have changed what a name means."""
    return sum(before[name] != after[name] for name in before.keys() & after.keys())
