"""The data port: sends each call to its handler. Bare ASGI, because a framework costs more than all of our own work."""

import re
from typing import Final, Protocol

import orjson
from agenttype_api import keys
from agenttype_api.policy import WireProtocol
from agenttype_proxy import asgi
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers

from agenttype_sidecar.errors import ForeignOrigin, NoWebSocket, Refusal, UnknownModel, UnknownPath, WrongMethod
from agenttype_sidecar.llm import error_responses, models, paths
from agenttype_sidecar.llm.call_handler import CallHandler
from agenttype_sidecar.llm.metrics import CallLabels
from agenttype_sidecar.llm.paths import Endpoint, Operation
from agenttype_sidecar.llm.services import Services
from agenttype_sidecar.llm.stored_response_handler import StoredResponseHandler

_JSON: Final = [(b"content-type", b"application/json")]
_TOOLS: Final = (keys.MCP_PATH + "/", keys.TOOLS_PATH + "/")
#: Origins of web pages that may call a sidecar: the agent's own machine only; MCP requires this check of servers too.
_LOCAL: Final = re.compile(rb"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?", re.IGNORECASE)
_BASE: Final = orjson.dumps({"service": "agenttype sidecar", "paths": paths.SERVED})
_ASTRAY: Final = f"there is nothing at this path; OpenAI's and Anthropic's protocols are at {', '.join(paths.SERVED)}"


class ToolGateway(Protocol):
    """Answers the paths of tools; it reads the policy in use itself, so a reload needs no call."""

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one HTTP exchange."""


class DataPort:
    """The ASGI app that the agent talks to."""

    def __init__(self, services: Services, tools: ToolGateway) -> None:
        self._services = services
        self._tools = tools

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one HTTP exchange."""
        # Not decoded: another reader might decode a path differently.
        path: str = scope["raw_path"].decode()
        endpoint = paths.endpoint(path)
        if _is_of_another_site(scope["headers"]):
            await self._refuse(ForeignOrigin(), _protocol(path, scope), send)
        elif endpoint is not None:
            if scope["method"] not in endpoint.methods:
                await self._refuse(_wrong_method(endpoint, scope), endpoint.protocol, send)
            elif endpoint.operation is Operation.BASE:
                await asgi.respond(send, 200, list(_JSON), _BASE)
            elif endpoint.operation in (Operation.MODELS, Operation.MODEL):
                await self._show(endpoint, path, scope, send)
            elif endpoint.operation is Operation.STORED:
                await StoredResponseHandler(self._services, scope, receive, send).answer(endpoint)
            else:
                await CallHandler(self._services, scope, receive, send).answer(endpoint)
        elif path == keys.MCP_PATH or path.startswith(_TOOLS):
            await self._tools(scope, receive, send)
        else:
            await self._refuse(UnknownPath(_ASTRAY), _protocol(path, scope), send)

    async def _show(self, endpoint: Endpoint, path: str, scope: asgi.Scope, send: asgi.Send) -> None:
        routes, protocol = self._services.policies.active.routes, _protocol(path, scope)
        try:
            one = models.one(routes, endpoint.name, protocol) if endpoint.name else models.listing(routes, protocol)
        except UnknownModel as refusal:
            await self._refuse(refusal, protocol, send)
            return
        await asgi.respond(send, 200, list(_JSON), one)

    async def _refuse(self, refusal: Refusal, protocol: WireProtocol, send: asgi.Send) -> None:
        status, headers, body = error_responses.refusal(refusal, protocol)
        self._services.llm_metrics.answered(CallLabels(protocol=protocol), "refused", status)
        self._services.metrics.refused(refusal.reason)
        await asgi.respond(send, status, headers, body)


def _is_of_another_site(headers: Headers) -> bool:
    return any(_LOCAL.fullmatch(origin) is None for origin in fields.every(headers, b"origin"))


def _wrong_method(endpoint: Endpoint, scope: asgi.Scope) -> Refusal:
    methods = " or ".join(endpoint.methods)
    if fields.get(scope["headers"], b"upgrade") is not None:
        return NoWebSocket(f"WebSockets are not spoken here; use {methods}")
    return WrongMethod(f"use {methods}")


def _protocol(path: str, scope: asgi.Scope) -> WireProtocol:
    anthropic = fields.get(scope["headers"], b"anthropic-version") is not None
    return paths.protocol(path, anthropic_header=anthropic)
