"""Routes the paths of tools: `/mcp` is all MCP servers in one, `/mcp/<name>` one of them, `/tools/<name>/…` an API."""

from agenttype_api import keys
from agenttype_proxy import asgi

from agenttype_sidecar.tools.call_checks import ToolCalls, ToolServices
from agenttype_sidecar.tools.http.api import HttpTools
from agenttype_sidecar.tools.mcp.gateway import McpGateway
from agenttype_sidecar.tools.mcp_aggregate.endpoint import AggregateEndpoint


class ToolPort:
    """A bare ASGI app for all paths of tools."""

    def __init__(self, services: ToolServices) -> None:
        """Serve the tools of the policy that is in use at each call."""
        calls = ToolCalls(services)
        self._all = AggregateEndpoint(services, calls)
        self._one = McpGateway(services, calls)
        self._apis = HttpTools(services, calls)

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        path: str = scope["raw_path"].decode()
        if path.startswith(keys.TOOLS_PATH + "/"):
            await self._apis(scope, receive, send)
        elif path == keys.MCP_PATH:
            await self._all(scope, receive, send)
        else:
            await self._one(scope, receive, send)
