"""Plain HTTP APIs below `/tools/<name>`: methods and paths that policy allows, with the sidecar's credential.

Redirects are passed on unchanged and never followed. Answers stream as they arrive, unless their size is limited: then
they are read whole first, so that a result that is too large gives an error and not a cut.
"""

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote_plus

from agenttype_api import keys
from agenttype_api.policy import ToolProtocol
from agenttype_proxy import asgi
from agenttype_proxy import headers as fields
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone, UpstreamError
from agenttype_proxy.messages import Headers, Request
from agenttype_proxy.response import Response
from agenttype_proxy.sse import EventReader

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.rules import message_texts
from agenttype_sidecar.tools import refusals
from agenttype_sidecar.tools.call_checks import RunningCall, Subject, ToolCalls, ToolServices
from agenttype_sidecar.tools.http import plain_path
from agenttype_sidecar.tools.mcp import envelopes
from agenttype_sidecar.tools.mcp.envelopes import Sending
from agenttype_sidecar.tools.refusals import (
    AmbiguousPath,
    ArgumentsTooLarge,
    ToolNotAllowed,
    ToolUnavailable,
    UnknownServer,
)
from agenttype_sidecar.tools.servers import ToolServer

BODY_LIMIT: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 30.0
_PREFIX: Final = keys.TOOLS_PATH + "/"
_FAILED: Final = 400
_BODYLESS: Final = ("GET", "HEAD")


class HttpTools:
    """A bare ASGI app for everything below `/tools/`."""

    def __init__(self, services: ToolServices, calls: ToolCalls) -> None:
        """Serve the HTTP APIs of the policy that is in use at each call."""
        self._services = services
        self._calls = calls

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        sending = Sending(send)
        try:
            await self._serve(scope, receive, sending)
        except Refusal as refusal:
            if sending.begun:
                self._services.metrics.refused(refusal.reason)
                asgi.abort(scope)
            else:
                await self._services.refuse(refusal, send)
        except (CallerGone, UpstreamError):
            pass  # the caller is gone, or the answer that was begun is cut

    async def _serve(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        name, slash, rest = scope["raw_path"].decode().removeprefix(_PREFIX).partition("/")
        path = slash + rest
        server = self._services.servers.speaking(ToolProtocol.HTTP, self._services.policies.active.policy).get(name)
        if server is None:
            raise UnknownServer
        method: str = scope["method"]
        if not plain_path.is_plain(path or "/"):
            raise AmbiguousPath
        label = server.route(method, path or "/")
        if label is None:
            raise ToolNotAllowed("this method and path are not allowed by the agent's policy")
        body = await _body(server, receive)
        if body and method in _BODYLESS:
            raise AmbiguousPath("a GET or HEAD must have no body: some servers would read it as the next request")
        said = _said(path, scope["query_string"], body)
        subject = Subject(server, f"{method} {path or '/'}", label, body, said)
        target = server.origin.target(path.encode()) or b"/"
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        request = Request(method.encode(), target, server.request_headers(scope["headers"]), body)
        async with asgi.cancel_on_disconnect(receive), self._calls.running(subject) as running:
            await self._forward(server, running, request, scope, send)

    async def _forward(
        self, server: ToolServer, running: RunningCall, request: Request, scope: asgi.Scope, send: asgi.Send
    ) -> None:
        try:
            response = await self._services.client.send(server.origin, request, running.deadlines)
        except UpstreamError as error:
            running.sent = error.dispatched
            raise refusals.of_wire(error, running.result_limit) from error
        async with response:
            if response.status >= _FAILED:
                running.outcome = "tool_error"
            is_checked = running.rule_check.looks_at_results
            if is_checked and fields.is_encoded(response.headers):
                raise ToolUnavailable("the tool server answers in an encoding that was not requested")
            head = server.answer_headers(response.headers)
            if is_checked and envelopes.is_stream(response.headers):
                await _checked(running, response, head, scope, send)
            elif is_checked or server.policy.limits.result_bytes is not None:
                await _whole(running, response, head, send)
            else:
                await _streamed(response, head, scope, send)


async def _whole(running: RunningCall, response: Response, head: Headers, send: asgi.Send) -> None:
    """Pass an answer on once all of it has arrived and no rule forbids it."""
    try:
        body = await response.read(running.result_limit)
    except UpstreamError as error:
        raise refusals.of_wire(error, running.result_limit) from error
    running.rule_check.result(body)
    await asgi.start(send, response.status, head)
    await asgi.write(send, body)
    await asgi.finish(send)


async def _checked(running: RunningCall, response: Response, head: Headers, scope: asgi.Scope, send: asgi.Send) -> None:
    """Pass a stream of events on, each once no rule forbids it."""
    await asgi.start(send, response.status, fields.without(head, b"content-length"))
    reader = EventReader(running.result_limit)
    try:
        async for chunk in response.chunks():
            for event in reader.feed(chunk):
                running.rule_check.event(event)
                await asgi.write(send, event.raw)
    except UpstreamError:
        asgi.abort(scope)
        raise
    for event in reader.flush():
        running.rule_check.event(event)
        await asgi.write(send, event.raw)
    await asgi.finish(send)


async def _streamed(response: Response, head: Headers, scope: asgi.Scope, send: asgi.Send) -> None:
    """Pass an answer on as it arrives; if it breaks off, the agent sees a cut."""
    await asgi.start(send, response.status, head)
    try:
        async for chunk in response.chunks():
            await asgi.write(send, chunk)
    except UpstreamError:
        asgi.abort(scope)
        raise
    await asgi.finish(send)


def _said(path: str, query: bytes, body: bytes) -> Callable[[], Iterator[str]]:
    """Return a function for the texts of a request: its path and query, as written and decoded, and its body."""

    def texts_of_it() -> Iterator[str]:
        for text in (path, query.decode("latin-1")):
            yield text
            yield unquote_plus(text)
        found = envelopes.loaded(body)
        if found is not None:
            yield from message_texts.of_value(found, open_names=True)
        else:
            yield from message_texts.of_body(body)
            yield unquote_plus(body.decode(errors="replace"))

    return texts_of_it


async def _body(server: ToolServer, receive: asgi.Receive) -> bytes:
    limit = server.policy.limits.argument_bytes
    try:
        return await asgi.read_body(receive, limit=limit or BODY_LIMIT, timeout=BODY_SECONDS)
    except BodyTooLarge as error:
        raise (ArgumentsTooLarge(limit) if limit else refusals.of_wire(error, BODY_LIMIT)) from error
    except BodyTimeout as error:
        raise refusals.of_wire(error, BODY_LIMIT) from error
