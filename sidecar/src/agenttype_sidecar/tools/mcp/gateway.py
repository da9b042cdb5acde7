"""The gateway to one MCP server: `/mcp/<server>` is that server, without the tools that policy does not allow.

admit (server known, message readable, tool allowed) → forward → filter lists of tools → record. Bodies pass unchanged;
events pass as they arrive; a cut upstream is a cut to the agent too.
"""

import re
from typing import Final

from agenttype_api import keys, quantities
from agenttype_api.policy import ToolProtocol
from agenttype_api.refusal_reasons import RefusalReason
from agenttype_proxy import asgi, headers
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone, EventTooLarge, UpstreamError
from agenttype_proxy.messages import Deadlines, Request
from agenttype_proxy.response import Response
from agenttype_proxy.sse import Event, EventReader

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import call_checks, policy_rules, refusals
from agenttype_sidecar.tools.call_checks import ANSWER_LIMIT, RunningCall, Subject, ToolCalls, ToolServices
from agenttype_sidecar.tools.mcp import envelopes, messages
from agenttype_sidecar.tools.mcp.envelopes import Sending
from agenttype_sidecar.tools.mcp.messages import McpCall, McpRefusal
from agenttype_sidecar.tools.mcp.protocol import INVALID_REQUEST, METHOD, NAME
from agenttype_sidecar.tools.policy_rules import RuleCheck
from agenttype_sidecar.tools.refusals import ResultTooLarge, ToolNotAllowed, ToolUnavailable, UnknownServer
from agenttype_sidecar.tools.servers import ToolServer

BODY_LIMIT: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 30.0
_METHODS: Final = ("GET", "POST", "DELETE")
_PREFIX: Final = keys.MCP_PATH + "/"
_REDIRECTS: Final = range(300, 400)
_NO_CALL: Final = McpCall("", None, None)


class McpGateway:
    """A bare ASGI app for everything below `/mcp/`."""

    def __init__(self, services: ToolServices, tool_calls: ToolCalls) -> None:
        """Serve the MCP servers of the policy that is in use at each call."""
        self._services = services
        self._calls = tool_calls

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        name = scope["raw_path"].decode().removeprefix(_PREFIX).removesuffix("/")
        server = self._services.servers.speaking(ToolProtocol.MCP, self._services.policies.active.policy).get(name)
        try:
            if server is None:
                raise UnknownServer
            if scope["method"] not in _METHODS:
                await envelopes.wrong_method(send, _METHODS)
                return
            body = await asgi.read_body(receive, limit=BODY_LIMIT, timeout=BODY_SECONDS)
            call = _admitted(scope, body)
        except McpRefusal as refusal:
            self._services.metrics.refused(refusal.reason)
            await asgi.respond(send, 400, [refusals.JSON], refusal.body())
        except (BodyTooLarge, BodyTimeout) as error:
            await self._services.refuse(refusals.of_wire(error, BODY_LIMIT), send)
        except Refusal as refusal:
            await self._services.refuse(refusal, send)
        except CallerGone:
            pass  # the caller is gone
        else:
            await self._answer(server, call, body, scope, receive, send)

    async def _answer(
        self, server: ToolServer, call: McpCall, body: bytes, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send
    ) -> None:
        sending = Sending(send)
        try:
            async with asgi.cancel_on_disconnect(receive):
                await self._serve(server, call, body, scope, sending)
        except Refusal as refusal:
            if call.identity is None:
                if sending.begun:
                    asgi.abort(scope)
                else:
                    await self._services.refuse(refusal, send)
                return
            self._services.metrics.refused(refusal.reason)
            answer = envelopes.refused(refusal, call, server.policy.on_refusal)
            if sending.begun:  # then it is a stream, and its last event has the error
                await asgi.write(send, envelopes.event(answer))
                await asgi.finish(send)
            else:
                await asgi.respond(send, 200, envelopes.headers(refusal), answer)
        except (CallerGone, UpstreamError):
            pass  # the caller is gone, or the answer that was begun is cut

    async def _serve(self, server: ToolServer, call: McpCall, body: bytes, scope: asgi.Scope, sending: Sending) -> None:
        if call.tool is not None and server.allowed.fullmatch(call.tool) is None:
            raise ToolNotAllowed
        outgoing = headers.replaced(server.request_headers(scope["headers"]), *refusals.JSON)
        target = server.origin.target(b"") or b"/"
        request = Request(scope["method"].encode(), target, outgoing, body)
        exchange = _Exchange(self._services, server, scope, sending)
        if call.tool is None:
            await exchange.forward(request)
            return
        texts = lambda: policy_rules.texts_of(messages.parsed(body))  # noqa: E731 — parsed again only if a rule needs it
        subject = Subject(server, call.tool, call_checks.label(server, call.tool), body, texts)
        async with self._calls.running(subject) as exchange.running:
            await exchange.forward(request)


def _admitted(scope: asgi.Scope, body: bytes) -> McpCall:
    """Return what a request asks for.

    Raises:
        McpRefusal: It cannot be read, or its header and its body disagree.
    """
    if scope["method"] != "POST":
        if body:
            raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, "only POST carries a message")
        return _NO_CALL
    incoming = scope["headers"]
    named, methods = headers.every(incoming, NAME), headers.every(incoming, METHOD)
    if len(named) > 1 or len(methods) > 1 or headers.is_encoded(incoming):
        message = "the message must not be encoded, with at most one mcp-name and one mcp-method"
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, message)
    call = messages.read(body, named[0] if named else None)
    if methods and methods[0] != call.method.encode(errors="replace"):
        message = "the header mcp-method names another method"
        raise McpRefusal(INVALID_REQUEST, RefusalReason.INVALID_REQUEST, message, call.identity)
    return call


class _Exchange:
    """One message to a tool server, and its answer."""

    def __init__(self, services: ToolServices, server: ToolServer, scope: asgi.Scope, sending: Sending) -> None:
        self._services = services
        self._server = server
        self._scope = scope
        self._send = sending
        self.running: RunningCall | None = None

    async def forward(self, request: Request) -> None:
        """Send it, and pass the answer on.

        Raises:
            Refusal: Instead of an answer; if a stream has begun, instead of its rest.
            UpstreamError: The answer broke off, and the agent's connection with it.
        """
        try:
            response = await self._services.client.send(self._server.origin, request, self._deadlines())
        except UpstreamError as error:
            if self.running is not None:
                self.running.sent = error.dispatched
            raise refusals.of_wire(error, self._limit) from error
        async with response:
            if response.status in _REDIRECTS:
                raise ToolUnavailable("the tool server answers with a redirect, and redirects are not followed")
            if headers.is_encoded(response.headers):
                # Plain text was requested; what cannot be read cannot be filtered.
                raise ToolUnavailable("the tool server answers in an encoding that was not requested")
            if envelopes.is_stream(response.headers):
                await self._stream(response)
            else:
                await self._whole(response)

    @property
    def _limit(self) -> int:
        return ANSWER_LIMIT if self.running is None else self.running.result_limit

    @property
    def _rule_check(self) -> RuleCheck | None:
        if self.running is not None:
            return self.running.rule_check
        if self._scope["method"] == "GET":  # an old server repeats here what a cut answer did not deliver
            return self._services.rule_checks.stream(self._server.name)
        return None

    def _deadlines(self) -> Deadlines:
        if self.running is not None:
            return self.running.deadlines
        times = self._services.policies.active.policy.timeouts
        if self._scope["method"] == "GET":  # the stream of an old session: open as long as the agent keeps it
            return Deadlines(
                quantities.seconds(times.connect_ms), quantities.seconds(times.first_byte_ms), float("inf"), None
            )
        return self._server.deadlines(times)

    async def _whole(self, response: Response) -> None:
        try:
            body = await response.read(self._limit)
        except UpstreamError as error:
            raise refusals.of_wire(error, self._limit) from error
        self._notice(body)
        if self.running is not None:
            self.running.rule_check.result(body)
        await asgi.respond(self._send, response.status, self._head(response), self._filtered(body))

    async def _stream(self, response: Response) -> None:
        await asgi.start(self._send, response.status, self._head(response))
        reader = EventReader(self._limit)
        rule_check = self._rule_check
        try:
            async for chunk in response.chunks():
                await self._pass(reader.feed(chunk), rule_check)
            await self._pass(reader.flush(), rule_check)
        except EventTooLarge as error:
            raise ResultTooLarge(self._limit) from error
        except UpstreamError:
            asgi.abort(self._scope)
            raise
        await asgi.finish(self._send)

    async def _pass(self, events: list[Event], rule_check: RuleCheck | None) -> None:
        """Pass events on, up to the first that a rule forbids."""
        ready: list[bytes] = []
        try:
            for event in events:
                self._notice(event.data)
                if rule_check is not None:
                    rule_check.event(event)
                data = self._filtered(event.data)
                ready.append(event.raw if data == event.data else _rewritten(event, data))
        finally:
            if ready:
                await asgi.write(self._send, b"".join(ready))

    def _head(self, response: Response) -> list[tuple[bytes, bytes]]:
        return headers.without(self._server.answer_headers(response.headers), b"content-length")

    def _filtered(self, message: bytes) -> bytes:
        return messages.filtered(message, self._server.allowed)

    def _notice(self, message: bytes) -> None:
        if self.running is not None and messages.failed(message):
            self.running.outcome = "tool_error"


#: A line of data, with any line ending.
_DATA_LINE: Final = re.compile(rb"(?:^|(?<=[\r\n]))data(?::[^\r\n]*)?(?:\r\n|\n|\r|$)")


def _rewritten(event: Event, data: bytes) -> bytes:
    """Return an event with other data; its id and other fields stay, because a client resumes by them."""
    return b"data: " + data + b"\n" + _DATA_LINE.sub(b"", event.raw)
