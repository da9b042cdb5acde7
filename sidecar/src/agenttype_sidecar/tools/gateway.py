"""The way of a tool call: `/mcp/<server>` is that server, less the tools that policy does not allow.

admit (server known, message readable, tool allowed) → forward → filter what lists tools → record. Bodies pass as they
came; events pass as they arrive; a cut upstream stays a cut.
"""

import re
import time
from collections.abc import Iterator
from typing import Final

import orjson
from agenttype_api import keys, policy
from agenttype_proxy import asgi, headers
from agenttype_proxy.client import Client
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone, UpstreamError
from agenttype_proxy.messages import Deadlines, Headers, Origin, Request
from agenttype_proxy.response import Response
from agenttype_proxy.sse import Event, EventReader

from agenttype_sidecar import globs
from agenttype_sidecar.policies import Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.metrics import OTHER, Metrics
from agenttype_sidecar.tools import messages
from agenttype_sidecar.tools.messages import INVALID_REQUEST, REFUSED, Call, McpRefusal

_BODY_LIMIT: Final = 4 * 1024 * 1024
_BODY_SECONDS: Final = 30.0
_ANSWER_LIMIT: Final = 16 * 1024 * 1024
_METHODS: Final = ("GET", "POST", "DELETE")
#: What the wrapper tells us concerns nobody behind us.
_OURS: Final = b"x-agenttype-"
_JSON: Final = (b"content-type", b"application/json")
#: A type could name a charset by which the server reads another message than we did.
_REPLACED: Final = (b"accept-encoding", b"content-encoding", b"content-type", b"cookie")
_FIXED: Final = (_JSON, (b"accept-encoding", b"identity"))
#: Names of tools that get a label of their own, per server; an agent that invents names must not fill our metrics.
_LABELS: Final = 100


class _Server:
    """One tool server of the policy."""

    def __init__(self, tool: policy.Tool) -> None:
        self.name = tool.name
        self.origin = Origin.parse(tool.url)
        self.allowed = globs.glob(tool.allow)
        self.labels: set[str] = set()

    def admitted(self, method: str, body: bytes, incoming: Headers) -> Call:
        """Return what a message asks for.

        Raises:
            McpRefusal: it cannot be read, or names a tool that is not allowed.
        """
        if method != "POST":
            if body:
                raise McpRefusal(INVALID_REQUEST, "invalid_request", "only POST carries a message")
            return Call("", None, None)
        named = headers.every(incoming, b"mcp-name")
        if len(named) > 1 or any(coding != b"identity" for coding in headers.every(incoming, b"content-encoding")):
            message = "the message must be plain, and at most one mcp-name may go with it"
            raise McpRefusal(INVALID_REQUEST, "invalid_request", message)
        call = messages.read(body, named[0] if named else None)
        if call.tool is not None and self.allowed.fullmatch(call.tool) is None:
            message = "this tool is not allowed by the agent's policy"
            raise McpRefusal(REFUSED, "tool_not_allowed", message, call.identity)
        return call

    def label(self, tool: str) -> str:
        """Return the label that a tool is counted under."""
        if tool in self.labels:
            return tool
        if len(self.labels) >= _LABELS:
            return OTHER
        self.labels.add(tool)
        return tool


class McpGateway:
    """A bare ASGI app for everything below `/mcp`."""

    def __init__(self, client: Client, policies: Policies, metrics: Metrics, activity: Activity) -> None:
        """Serve the tools of the policy that is in use at each call."""
        self._client = client
        self._policies = policies
        self._metrics = metrics
        self._activity = activity
        self._policy: policy.Policy | None = None
        self._servers: dict[str, _Server] = {}

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        name = scope["raw_path"].decode().removeprefix(keys.MCP_PATH + "/").removesuffix("/")
        server = self._tools().get(name)
        if server is None:
            await _answer(send, 404, "unknown_tool_server", "this agent's policy names no tool server of this path")
            return
        if scope["method"] not in _METHODS:
            await _answer(send, 405, "method_not_allowed", "tool servers take GET, POST and DELETE")
            return
        try:
            await self._serve(server, scope, receive, send)
        except McpRefusal as refusal:
            self._metrics.refused(refusal.reason)
            status = 400 if refusal.code != REFUSED else 200
            await asgi.respond(send, status, [_JSON], refusal.body())
        except BodyTooLarge:
            await _answer(send, 413, "body_too_large", f"messages to tools are at most {_BODY_LIMIT} bytes")
        except BodyTimeout:
            await _answer(send, 408, "body_timeout", "the message did not arrive in time")
        except CallerGone:
            pass  # nobody is left to answer

    async def _serve(self, server: _Server, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        body = await asgi.read_body(receive, limit=_BODY_LIMIT, timeout=_BODY_SECONDS)
        call = server.admitted(scope["method"], body, scope["headers"])
        target = server.origin.target(b"") or b"/"
        request = Request(scope["method"].encode(), target, _outgoing(scope["headers"]), body)
        exchange = _Exchange(self._client, server, self._deadlines(scope["method"]))
        if call.tool is None:
            async with asgi.attended(receive):
                await exchange.forward(request, call, scope, send)
            return
        started = time.monotonic()
        self._activity.begin(started)
        try:
            async with asgi.attended(receive):
                await exchange.forward(request, call, scope, send)
        except CallerGone:
            exchange.outcome = "caller_gone"
            raise
        finally:
            now = time.monotonic()
            self._activity.end(now)
            self._metrics.tool_called(server.name, server.label(call.tool), exchange.outcome, now - started)

    def _tools(self) -> dict[str, _Server]:
        current = self._policies.active.policy
        if current is not self._policy:
            self._servers = {tool.name: _Server(tool) for tool in current.tools}
            self._policy = current
        return self._servers

    def _deadlines(self, method: str) -> Deadlines:
        limits = self._policies.active.policy.timeouts
        if method == "GET":  # the stream of an old session: open as long as the agent keeps it
            return Deadlines(limits.connect, limits.first_byte, float("inf"), None)
        return Deadlines(limits.connect, limits.first_byte, limits.idle, limits.total)


class _Exchange:
    """One message to a tool server and what comes back."""

    def __init__(self, client: Client, server: _Server, deadlines: Deadlines) -> None:
        self._client = client
        self._server = server
        self._deadlines = deadlines
        self.outcome = "ok"

    async def forward(self, request: Request, call: Call, scope: asgi.Scope, send: asgi.Send) -> None:
        try:
            response = await self._client.send(self._server.origin, request, self._deadlines)
        except UpstreamError:
            self.outcome = "upstream_error"
            if call.identity is None:
                await _answer(send, 502, "tool_unavailable", "the tool server does not answer")
                return
            refusal = McpRefusal(REFUSED, "tool_unavailable", "the tool server does not answer", call.identity)
            await asgi.respond(send, 200, [_JSON], refusal.body())
            return
        async with response:
            if headers.get(response.headers, b"content-encoding") not in (None, b"identity"):
                self.outcome = "upstream_error"  # asked for plain text: what cannot be read cannot be filtered
                await _answer(send, 502, "tool_unavailable", "the tool server answers in an encoding nobody asked for")
                return
            kind = (headers.get(response.headers, b"content-type") or b"").split(b";")[0].strip().lower()
            try:
                if kind == b"text/event-stream":
                    await self._stream(response, send)
                else:
                    await self._whole(response, send)
            except UpstreamError:
                self.outcome = "upstream_error"
                asgi.abort(scope)

    async def _whole(self, response: Response, send: asgi.Send) -> None:
        body = await response.read(_ANSWER_LIMIT)
        self._notice(body)
        outgoing = headers.without(headers.forwardable(response.headers), b"content-length")
        await asgi.respond(send, response.status, outgoing, messages.filtered(body, self._server.allowed))

    async def _stream(self, response: Response, send: asgi.Send) -> None:
        await asgi.start(
            send, response.status, headers.without(headers.forwardable(response.headers), b"content-length")
        )
        reader = EventReader(_ANSWER_LIMIT)
        async for chunk in response.chunks():
            ready = b"".join(self._passed(reader.feed(chunk)))
            if ready:
                await asgi.write(send, ready)
        rest = b"".join(self._passed(reader.flush()))
        if rest:
            await asgi.write(send, rest)
        await asgi.finish(send)

    def _passed(self, events: list[Event]) -> Iterator[bytes]:
        for event in events:
            self._notice(event.data)
            data = messages.filtered(event.data, self._server.allowed)
            yield event.raw if data == event.data else _rewritten(event, data)

    def _notice(self, message: bytes) -> None:
        if messages.failed(message):
            self.outcome = "tool_error"


#: A line of data, however the lines end.
_DATA_LINE: Final = re.compile(rb"(?:^|(?<=[\r\n]))data(?::[^\r\n]*)?(?:\r\n|\n|\r|$)")


def _rewritten(event: Event, data: bytes) -> bytes:
    """Return an event with other data; its id and other fields stay, for a client resumes by them."""
    return b"data: " + data + b"\n" + _DATA_LINE.sub(b"", event.raw)


def _outgoing(incoming: Headers) -> Headers:
    """Return the agent's headers as they go to the tool: no hop's own, no cookies, and plain text back."""
    kept = headers.without(headers.forwardable(incoming), *headers.OF_ONE_REQUEST, *_REPLACED)
    return [*(field for field in kept if not field[0].startswith(_OURS)), *_FIXED]


async def _answer(send: asgi.Send, status: int, reason: str, message: str) -> None:
    body = orjson.dumps({"error": {"code": reason, "message": message}})
    await asgi.respond(send, status, [_JSON, (keys.HEADER_REASON.encode(), reason.encode())], body)
