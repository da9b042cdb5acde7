"""The control API's report on tool servers: what the agent may use, its limits, and which servers answer."""

from agenttype_api import keys
from agenttype_api.policy import HttpRoute, Policy, ToolLimits, ToolProtocol
from agenttype_api.schema import Document

from agenttype_sidecar.tools.servers import ToolServer, ToolServers


class ToolReport(Document):
    """One tool server that the agent may use, and its path."""

    name: str
    protocol: ToolProtocol
    path: str
    allow: tuple[str, ...]
    """MCP: globs of its tools."""
    routes: tuple[HttpRoute, ...]
    """HTTP: the allowed routes."""
    limits: ToolLimits
    calls_this_run: int | None
    """Counted only if the run's calls are limited."""
    state: str
    """Unknown until the first request; then Ready or Unavailable, as of the last request."""


def reports(servers: ToolServers, policy: Policy) -> list[ToolReport]:
    """Return the report of every tool server of a policy, in its order."""
    return [_report(server) for server in servers.of(policy).values()]


def _report(server: ToolServer) -> ToolReport:
    tool = server.policy
    base = keys.MCP_PATH if tool.protocol is ToolProtocol.MCP else keys.TOOLS_PATH
    counted = tool.limits.calls_per_run is not None
    return ToolReport(
        name=tool.name,
        protocol=tool.protocol,
        path=f"{base}/{tool.name}",
        allow=tool.allow,
        routes=tool.routes,
        limits=tool.limits,
        calls_this_run=server.allowance.calls_this_run if counted else None,
        state="Unknown" if server.answers is None else "Ready" if server.answers else "Unavailable",
    )
