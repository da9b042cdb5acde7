"""What the control API says of the tool servers: what the agent may use, within which bounds, and who answers."""

from agenttype_api import keys
from agenttype_api.policy import HttpRoute, Policy, ToolLimits, ToolProtocol
from agenttype_api.schema import Document

from agenttype_sidecar.tools.servers import ToolServer, ToolServers


class ToolReport(Document):
    """One tool server that the agent may use, and where."""

    name: str
    protocol: ToolProtocol
    path: str
    allow: tuple[str, ...]
    """MCP: globs of its tools."""
    routes: tuple[HttpRoute, ...]
    """HTTP: what may be called."""
    limits: ToolLimits
    calls_this_run: int | None
    """Counted only where the run's calls are limited."""
    state: str
    """Unknown until it was asked; then Ready or Unavailable, as it was last."""


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
