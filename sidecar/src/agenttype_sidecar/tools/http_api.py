"""Plain HTTP APIs below `/tools/<name>`: methods and paths that policy allows, with the sidecar's credential.

Redirects are passed on as they are and never followed. Answers stream as they arrive, unless their size is limited:
then they are read whole first, so that a result that is too large becomes an error and not a cut.
"""

from typing import Final

from agenttype_api import keys
from agenttype_api.policy import ToolProtocol
from agenttype_proxy import asgi
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone, UpstreamError
from agenttype_proxy.messages import Request
from agenttype_proxy.response import Response

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import plain_path, refusals
from agenttype_sidecar.tools.calls import Running, Subject, ToolCalls, ToolParts
from agenttype_sidecar.tools.refusals import AmbiguousPath, ArgumentsTooLarge, ToolNotAllowed, UnknownServer
from agenttype_sidecar.tools.servers import ToolServer

BODY_LIMIT: Final = 4 * 1024 * 1024
BODY_SECONDS: Final = 30.0
_PREFIX: Final = keys.TOOLS_PATH + "/"
_FAILED: Final = 400
_BODYLESS: Final = ("GET", "HEAD")


class HttpTools:
    """A bare ASGI app for everything below `/tools/`."""

    def __init__(self, parts: ToolParts, calls: ToolCalls) -> None:
        """Serve the HTTP APIs of the policy that is in use at each call."""
        self._parts = parts
        self._calls = calls

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one request."""
        try:
            await self._serve(scope, receive, send)
        except Refusal as refusal:
            self._parts.metrics.refused(refusal.reason)
            await asgi.respond(send, *refusals.http_answer(refusal))
        except (CallerGone, UpstreamError):
            pass  # nobody is left to answer, or what was begun is cut

    async def _serve(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        name, slash, rest = scope["raw_path"].decode().removeprefix(_PREFIX).partition("/")
        path = slash + rest
        server = self._parts.servers.speaking(ToolProtocol.HTTP, self._parts.policies.active.policy).get(name)
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
            raise AmbiguousPath("a GET or HEAD has no body: some servers would read it as the next request")
        subject = Subject(server, f"{method} {path or '/'}", label, body)
        target = server.origin.target(path.encode()) or b"/"
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        request = Request(method.encode(), target, server.request_headers(scope["headers"]), body)
        async with self._calls.running(subject) as running, asgi.attended(receive):
            await self._forward(subject, running, request, scope, send)

    async def _forward(
        self, subject: Subject, running: Running, request: Request, scope: asgi.Scope, send: asgi.Send
    ) -> None:
        server = subject.server
        deadlines = server.deadlines(self._parts.policies.active.policy.timeouts)
        try:
            response = await self._parts.client.send(server.origin, request, deadlines)
        except UpstreamError as error:
            running.sent = error.dispatched
            raise refusals.of_wire(error, running.result_limit) from error
        async with response:
            if response.status >= _FAILED:
                running.outcome = "tool_error"
            if server.policy.limits.result_bytes is None:
                await _streamed(server, response, scope, send)
                return
            try:
                answer = await response.read(running.result_limit)
            except UpstreamError as error:
                raise refusals.of_wire(error, running.result_limit) from error
            await asgi.start(send, response.status, server.answer_headers(response.headers))
            await asgi.write(send, answer)
            await asgi.finish(send)


async def _streamed(server: ToolServer, response: Response, scope: asgi.Scope, send: asgi.Send) -> None:
    """Pass an answer on as it arrives; one that breaks off stays broken off."""
    await asgi.start(send, response.status, server.answer_headers(response.headers))
    try:
        async for chunk in response.chunks():
            await asgi.write(send, chunk)
    except UpstreamError:
        asgi.abort(scope)
        raise
    await asgi.finish(send)


async def _body(server: ToolServer, receive: asgi.Receive) -> bytes:
    limit = server.policy.limits.argument_bytes
    try:
        return await asgi.read_body(receive, limit=limit or BODY_LIMIT, timeout=BODY_SECONDS)
    except BodyTooLarge as error:
        raise (ArgumentsTooLarge(limit) if limit else refusals.of_wire(error, BODY_LIMIT)) from error
    except BodyTimeout as error:
        raise refusals.of_wire(error, BODY_LIMIT) from error
