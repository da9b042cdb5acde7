"""The way of a tool call: `/mcp/<server>` is that server, less the tools that policy does not allow.

admit (server known, message readable, tool allowed) → forward → filter what lists tools → record. Bodies pass as they
came; events pass as they arrive; a cut upstream stays a cut.
"""

import re
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import orjson
from agenttype_api import keys, policy
from agenttype_proxy import asgi, headers
from agenttype_proxy.client import Client
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone, UpstreamError
from agenttype_proxy.messages import Deadlines, Headers, Origin, Request
from agenttype_proxy.response import Response
from agenttype_proxy.sse import Event, EventReader

from agenttype_sidecar import globs, mcp_messages
from agenttype_sidecar.mcp_messages import REFUSED, Call, McpRefusal

_BODY_LIMIT: Final = 4 * 1024 * 1024
_BODY_SECONDS: Final = 30.0
_ANSWER_LIMIT: Final = 16 * 1024 * 1024
_METHODS: Final = ("GET", "POST", "DELETE")
_JSON: Final = (b"content-type", b"application/json")
#: Names of tools that get a label of their own, per server; an agent that invents names must not fill our metrics.
_LABELS: Final = 100


class Recorder(Protocol):
    """Where tool calls are counted."""

    def tool_started(self) -> None:
        """A call goes out."""

    def tool_finished(self, server: str, tool: str, outcome: str, seconds: float) -> None:
        """It ended: `ok`, `tool_error`, `upstream_error` or `caller_gone`."""

    def tool_refused(self, server: str, reason: str) -> None:
        """A message was not sent on."""


class _Server:
    """One tool server of the policy."""

    def __init__(self, tool: policy.Tool) -> None:
        self.name = tool.name
        self.origin = Origin.parse(tool.url)
        self.allowed = globs.glob(tool.allow)
        self.labels: set[str] = set()

    def label(self, tool: str) -> str:
        if tool in self.labels:
            return tool
        if len(self.labels) >= _LABELS:
            return "other"
        self.labels.add(tool)
        return tool


class McpGateway:
    """A bare ASGI app for everything below `/mcp`."""

    def __init__(self, client: Client, current: Callable[[], policy.Policy], recorder: Recorder) -> None:
        """Serve the tools of the policy that `current` returns at each call."""
        self._client = client
        self._current = current
        self._recorder = recorder
        self._policy: policy.Policy | None = None
        self._servers: dict[str, _Server] = {}

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        name = scope["path"].removeprefix(keys.MCP_PATH).strip("/")
        server = self._tools().get(name)
        if server is None:
            await _answer(send, 404, "unknown_tool_server", "this agent's policy names no tool server of this path")
            return
        if scope["method"] not in _METHODS:
            await _answer(send, 405, "method_not_allowed", "tool servers take GET, POST and DELETE")
            return
        try:
            await _Exchange(self._client, self._recorder, server, self._deadlines(scope["method"])).run(
                scope, receive, send
            )
        except McpRefusal as refusal:
            self._recorder.tool_refused(server.name, refusal.reason)
            status = 400 if refusal.code != REFUSED else 200
            await asgi.respond(send, status, [_JSON], refusal.body())
        except BodyTooLarge:
            await _answer(send, 413, "body_too_large", f"messages to tools are at most {_BODY_LIMIT} bytes")
        except BodyTimeout:
            await _answer(send, 408, "body_timeout", "the message did not arrive in time")
        except CallerGone:
            pass  # nobody is left to answer

    def _tools(self) -> dict[str, _Server]:
        current = self._current()
        if current is not self._policy:
            self._servers = {tool.name: _Server(tool) for tool in current.tools}
            self._policy = current
        return self._servers

    def _deadlines(self, method: str) -> Deadlines:
        limits = self._current().timeouts
        if method == "GET":  # the stream of an old session: open as long as the agent keeps it
            return Deadlines(limits.connect, limits.first_byte, float("inf"), None)
        return Deadlines(limits.connect, limits.first_byte, limits.idle, limits.total)


class _Exchange:
    """One message to a tool server and what comes back."""

    def __init__(self, client: Client, recorder: Recorder, server: _Server, deadlines: Deadlines) -> None:
        self._client = client
        self._recorder = recorder
        self._server = server
        self._deadlines = deadlines
        self._outcome = "ok"

    async def run(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        body = await asgi.read_body(receive, limit=_BODY_LIMIT, timeout=_BODY_SECONDS)
        call = self._admitted(scope["method"], body, scope["headers"])
        request = Request(
            scope["method"].encode(), self._server.origin.target(b"") or b"/", _outgoing(scope["headers"]), body
        )
        if call.tool is None:
            async with asgi.attended(receive):
                await self._forward(request, call, scope, send)
            return
        started = time.monotonic()
        self._recorder.tool_started()
        try:
            async with asgi.attended(receive):
                await self._forward(request, call, scope, send)
        except CallerGone:
            self._outcome = "caller_gone"
            raise
        finally:
            tool = self._server.label(call.tool)
            self._recorder.tool_finished(self._server.name, tool, self._outcome, time.monotonic() - started)

    def _admitted(self, method: str, body: bytes, incoming: Headers) -> Call:
        if method != "POST":
            return Call("", None, None)
        call = mcp_messages.read(body, headers.get(incoming, b"mcp-name"))
        if call.tool is not None and self._server.allowed.fullmatch(call.tool) is None:
            raise McpRefusal(
                REFUSED, "tool_not_allowed", "this tool is not allowed by the agent's policy", call.identity
            )
        return call

    async def _forward(self, request: Request, call: Call, scope: asgi.Scope, send: asgi.Send) -> None:
        try:
            response = await self._client.send(self._server.origin, request, self._deadlines)
        except UpstreamError:
            self._outcome = "upstream_error"
            if call.identity is None:
                await _answer(send, 502, "tool_unavailable", "the tool server does not answer")
                return
            refusal = McpRefusal(REFUSED, "tool_unavailable", "the tool server does not answer", call.identity)
            await asgi.respond(send, 200, [_JSON], refusal.body())
            return
        async with response:
            if headers.get(response.headers, b"content-encoding") not in (None, b"identity"):
                self._outcome = "upstream_error"  # asked for plain text: what cannot be read cannot be filtered
                await _answer(send, 502, "tool_unavailable", "the tool server answers in an encoding nobody asked for")
                return
            kind = (headers.get(response.headers, b"content-type") or b"").split(b";")[0].strip().lower()
            try:
                if kind == b"text/event-stream":
                    await self._stream(response, send)
                else:
                    await self._whole(response, send)
            except UpstreamError:
                self._outcome = "upstream_error"
                asgi.abort(scope)

    async def _whole(self, response: Response, send: asgi.Send) -> None:
        body = await response.read(_ANSWER_LIMIT)
        self._notice(body)
        outgoing = headers.without(headers.forwardable(response.headers), b"content-length")
        await asgi.respond(send, response.status, outgoing, mcp_messages.filtered(body, self._server.allowed))

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
            data = mcp_messages.filtered(event.data, self._server.allowed)
            yield event.raw if data == event.data else _rewritten(event, data)

    def _notice(self, message: bytes) -> None:
        if mcp_messages.failed(message):
            self._outcome = "tool_error"


_DATA_LINE: Final = re.compile(rb"(?m)^data:[^\r\n]*(?:\r\n|\n|\r)")


def _rewritten(event: Event, data: bytes) -> bytes:
    """Return an event with other data; its id and other fields stay, for a client resumes by them."""
    return b"data: " + data + b"\n" + _DATA_LINE.sub(b"", event.raw)


def _outgoing(incoming: Headers) -> Headers:
    """Return the agent's headers as they go to the tool: no hop's own, no cookies, and plain text back."""
    kept = headers.without(headers.forwardable(incoming), *headers.OF_ONE_REQUEST, b"accept-encoding", b"cookie")
    return [*kept, (b"accept-encoding", b"identity")]


async def _answer(send: asgi.Send, status: int, reason: str, message: str) -> None:
    body = orjson.dumps({"error": {"code": reason, "message": message}})
    await asgi.respond(send, status, [_JSON, (keys.HEADER_REASON.encode(), reason.encode())], body)
