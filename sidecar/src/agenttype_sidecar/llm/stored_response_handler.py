"""Handles calls about a response that a backend keeps: get, list its input, cancel, delete. They cost nothing.

A call goes to the backend that made the response, as long as the policy has that backend; a request body is not sent.
"""

import time
from typing import Final

from agenttype_proxy import asgi, errors
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers, Request
from agenttype_proxy.response import Response

from agenttype_sidecar.errors import Refusal, UnknownResponse, UpstreamFailed
from agenttype_sidecar.llm import error_responses
from agenttype_sidecar.llm.metrics import CallLabels
from agenttype_sidecar.llm.paths import Endpoint
from agenttype_sidecar.llm.services import Services
from agenttype_sidecar.llm.upstream import passing

_OK: Final = 200
_REDIRECTION: Final = 300
_CLIENT_ERROR: Final = 400
_GONE: Final = 499
_FIXED: Final = [(b"accept-encoding", b"identity")]


class StoredResponseHandler:
    """Handles one such call."""

    def __init__(self, services: Services, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        self._services = services
        self._scope = scope
        self._receive = receive
        self._send = send

    async def answer(self, endpoint: Endpoint) -> None:
        """Answer the call."""
        services, labels = self._services, CallLabels(protocol=endpoint.protocol)
        outcome, status = "cut", _GONE
        services.activity.begin(time.monotonic())
        try:
            async with asgi.cancel_on_disconnect(self._receive):
                outcome, status = await self._forward(endpoint)
        except Refusal as refusal:
            outcome = refusal.outcome
            status, headers, body = error_responses.refusal(refusal, endpoint.protocol)
            if outcome == "refused":
                services.metrics.refused(refusal.reason)
            await asgi.respond(self._send, status, headers, body)
        except errors.CallerGone:
            outcome = "caller_gone"
        finally:
            services.activity.end(time.monotonic())
            services.llm_metrics.answered(labels, outcome, status)

    async def _forward(self, endpoint: Endpoint) -> tuple[str, int]:
        """Send the call, pass the answer on, and return how it ended."""
        self._services.admission.check()
        active, owners = self._services.policies.active, self._services.stored_responses
        name = owners.backend(endpoint.name)
        backend = next((each for each in active.policy.backends if each.name == name), None)
        if backend is None:
            raise UnknownResponse("this sidecar has passed on no stored response of this name")
        query, method = self._scope["query_string"], self._scope["method"]
        target = endpoint.path + (b"?" + query if query else b"")
        request = Request(method.encode(), target, passing(self._scope["headers"]) + _FIXED, b"")
        begun = False
        try:
            async with await self._services.upstream.fetch(backend, active, request) as response:
                if _REDIRECTION <= response.status < _CLIENT_ERROR:  # the client would call past us
                    raise UpstreamFailed("the model's backend answered with a redirection")
                if method == "DELETE" and _OK <= response.status < _REDIRECTION:
                    owners.forget(endpoint.name)
                await asgi.start(self._send, response.status, _headers(response))
                begun = True
                async for chunk in response.chunks():
                    await asgi.write(self._send, chunk)
        except errors.UpstreamError as error:
            if not begun:
                raise UpstreamFailed("the model's backend did not answer about the stored response") from error
            asgi.abort(self._scope)
            return "cut", _OK
        await asgi.finish(self._send)
        good = response.status < _REDIRECTION
        return ("ok" if good else "upstream_error"), response.status


def _headers(response: Response) -> Headers:
    return fields.without(fields.forwardable(response.headers), b"set-cookie")
