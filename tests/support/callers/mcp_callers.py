"""Clients of the merged MCP path in plain HTTP, one for each era of the protocol."""

from agenttype_api import policy as api

from support.programs.sidecars import a_policy
from support.servers.mcp_servers import HANDSHAKE, MODERN

NOBODY = "http://127.0.0.1:9"
ACCEPT = {"accept": "application/json, text/event-stream"}
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def a_tool(url, name, *allow, **members):
    return api.Tool(name=name, url=url, allow=allow or ("*",), **members)


def with_tools(*tools):
    return a_policy(NOBODY, tools=tools)


class Caller:
    """A client of the older era: it shakes hands and keeps its session."""

    def __init__(self, car):
        self.car = car
        shaken = car.post("/mcp", self.message("initialize", protocolVersion=HANDSHAKE, capabilities={}), ACCEPT)
        self.answer = shaken.json["result"]
        self.headers = {**ACCEPT, "mcp-session-id": shaken.headers["mcp-session-id"], "mcp-protocol-version": HANDSHAKE}

    @staticmethod
    def message(method, number=1, **params):
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}

    def ask(self, method, number=1, **params):
        return self.car.post("/mcp", self.message(method, number, **params), self.headers)

    def call(self, tool, number=1, **params):
        return self.ask("tools/call", number, name=tool, **({"arguments": {}} | params))


class ModernCaller:
    """A client of the newer era: every request says who asks."""

    def __init__(self, car):
        self.car = car

    def ask(self, method, headers=None, **params):
        meta = META | params.pop("_meta", {})
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        named = {"mcp-name": params["name"]} if method == "tools/call" else {}
        said = {**ACCEPT, "mcp-protocol-version": MODERN, "mcp-method": method, **named, **(headers or {})}
        return self.car.post("/mcp", message, said)

    def call(self, tool, headers=None, **params):
        return self.ask("tools/call", headers, name=tool, **({"arguments": {}} | params))


def names(answered):
    return [tool["name"] for tool in answered.json["result"]["tools"]]
