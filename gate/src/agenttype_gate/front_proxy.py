"""The data path: identify the caller, check the model, check that it is live, then pass the bytes.

A refused call costs the engine nothing, and the API server at most one review. The engine gets neither the caller's
token nor any header that could address another caller's request (an engine uses `x-request-id` as the request's own
name). The body passes byte for byte.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import orjson
from agenttype_api import keys
from agenttype_api.gate_policy import Caller
from agenttype_authn import bearer
from agenttype_authn import errors as authn_errors
from agenttype_authn.token_reviews import TokenReviews
from agenttype_proxy import asgi, headers
from agenttype_proxy.asgi import Receive, Scope, Send
from agenttype_proxy.client import Client
from agenttype_proxy.errors import (
    BodyTimeout,
    BodyTooLarge,
    CallerGone,
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    TotalTimeout,
    UpstreamError,
)
from agenttype_proxy.messages import Deadlines, Headers, Origin, Request
from agenttype_proxy.response import Response

from agenttype_gate import adapter_versions, allowed_paths, error_responses, model_in_body
from agenttype_gate.document import DocumentFile, Snapshot
from agenttype_gate.engine import Engine
from agenttype_gate.errors import (
    BodyLate,
    BodyTooBig,
    Busy,
    EngineAway,
    EngineBroke,
    EngineSilent,
    NoSuchModel,
    NoSuchPath,
    NotACaller,
    Refusal,
    ReviewUnavailable,
    TokenRefused,
    Warming,
)
from agenttype_gate.fair_queue import FairQueue
from agenttype_gate.metrics import OTHER, Metrics
from agenttype_gate.status import Status

#: Header fields that go on to the engine; no others do.
_PASSED: Final = frozenset({
    b"accept", b"anthropic-beta", b"anthropic-version", b"content-type", b"traceparent", b"tracestate", b"user-agent",
    keys.HEADER_SESSION.encode(),
})  # fmt: skip
_CARD: Final = ("id", "object", "created", "owned_by", "parent", "max_model_len")
_BODY_SECONDS: Final = 60.0
_NOT_FOUND: Final = 404
_CALLER_GONE: Final = 499


@dataclass(frozen=True)
class Wire:
    """How the data path reaches the engine.

    Attributes:
        client: Allows as many connections as calls may run.
        origin: Where the engine listens.
        deadlines: For its answers.
        queue: Decides which calls run.
        max_body: The largest request body in bytes.
        max_held: The most bytes of request bodies in memory, all calls together.
    """

    client: Client
    origin: Origin
    deadlines: Deadlines
    queue: FairQueue
    max_body: int
    max_held: int


@dataclass(slots=True)
class _Call:
    """One request, and the labels of its metric."""

    scope: Scope
    receive: Receive
    send: Send
    agent_type: str = OTHER
    model: str = OTHER
    code: int = 0


class FrontProxy:
    """The ASGI app of the gate's port."""

    def __init__(
        self,
        document: DocumentFile,
        token_reviews: TokenReviews,
        status: Status,
        engine: Engine,
        wire: Wire,
        metrics: Metrics,
    ) -> None:
        self._document = document
        self._token_reviews = token_reviews
        self._status = status
        self._engine = engine
        self._wire = wire
        self._metrics = metrics
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        call = _Call(scope, receive, send)
        try:
            await self._answer(call)
        except Refusal as error:
            self._metrics.refused(error.reason)
            call.code, fields, text = error_responses.refusal(error, allowed_paths.protocol(scope["raw_path"]))
            await asgi.respond(send, call.code, fields, text)
        except CallerGone:
            call.code = call.code or _CALLER_GONE
        self._metrics.answered(call.agent_type, call.model, call.code)

    async def _answer(self, call: _Call) -> None:
        path = call.scope["raw_path"]
        if not allowed_paths.allowed(call.scope["method"], path):
            raise NoSuchPath("this path is not served; see the AgentType documentation for those that are")
        account = await self._account(call.scope["headers"])
        _, caller = self._caller(account)
        call.agent_type = caller.agent_type
        if path == allowed_paths.MODELS:
            await self._list(call, caller)
            return
        if allowed_paths.stored(path):
            async with asgi.cancel_on_disconnect(call.receive), self._wire.queue.slot(call.agent_type):
                await self._forward(call, b"")
            return
        raw = await self._body(call)
        with self._holding(len(raw)):
            await self._call(call, account, raw)

    async def _account(self, fields: Headers) -> str:
        """Return the caller's ServiceAccount, `namespace/name`."""
        try:
            return str(await self._token_reviews.service_account(bearer.token(fields)))
        except authn_errors.Unauthenticated as error:
            raise TokenRefused(str(error)) from error
        except authn_errors.ReviewUnavailable as error:
            raise ReviewUnavailable(str(error)) from error

    async def _call(self, call: _Call, account: str, raw: bytes) -> None:
        model = model_in_body.model(raw)
        before = self._check(account, model)
        if model in before.wanted or model in before.replaced or model == before.document.base_model:
            call.model = model  # a label from the document, never from the request
        async with asgi.cancel_on_disconnect(call.receive), self._wire.queue.slot(call.agent_type):
            # It may have waited for its place, so it is checked again; nothing is awaited between this check and the
            # count.
            snapshot = self._check(account, model)
            self._status.admit(snapshot, model)
            with self._status.call(model):
                await self._forward(call, raw)

    @contextmanager
    def _holding(self, size: int) -> Iterator[None]:
        if self._held + size > self._wire.max_held:
            raise Busy("the gate holds as many request bodies as fit in its memory; try again in a moment")
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def _caller(self, account: str) -> tuple[Snapshot, Caller]:
        snapshot = self._document.current
        if snapshot is None:
            raise Warming("the gate has no document yet")
        caller = snapshot.callers.get(account)
        if caller is None:
            raise NotACaller(f"no agent of this backend runs as {account}")
        return snapshot, caller

    def _check(self, account: str, model: str) -> Snapshot:
        snapshot, caller = self._caller(account)
        if model not in caller.models and not adapter_versions.is_version_of(model, caller.models):
            raise NoSuchModel("there is no such model for this caller; GET /v1/models lists those that are")
        return snapshot

    async def _body(self, call: _Call) -> bytes:
        try:
            return await asgi.read_body(call.receive, limit=self._wire.max_body, timeout=_BODY_SECONDS)
        except BodyTooLarge as error:
            raise BodyTooBig(f"the body is larger than {self._wire.max_body} bytes") from error
        except BodyTimeout as error:
            raise BodyLate("the body did not arrive in time") from error

    async def _list(self, call: _Call, caller: Caller) -> None:
        try:
            served = await self._engine.served()
        except EngineAway as error:
            raise Warming("the engine is not up yet") from error
        cards = [
            {key: card[key] for key in _CARD if key in card}
            for name, card in served.cards.items()
            if name in caller.models
        ]
        call.code = 200
        await asgi.respond(call.send, 200, [error_responses.JSON], orjson.dumps({"object": "list", "data": cards}))

    async def _forward(self, call: _Call, raw: bytes) -> None:
        fields = [field for field in call.scope["headers"] if field[0] in _PASSED]
        path, stored = call.scope["raw_path"], allowed_paths.stored(call.scope["raw_path"])
        if stored and call.scope["query_string"]:
            path += b"?" + call.scope["query_string"]
        request = Request(call.scope["method"].encode(), self._wire.origin.target(path), fields, raw)
        try:
            response = await self._wire.client.send(self._wire.origin, request, self._wire.deadlines)
        except (ConnectFailed, ConnectTimeout) as error:
            self._status.doubt()
            raise Warming("the engine is not up") from error
        except (FirstByteTimeout, TotalTimeout) as error:
            raise EngineSilent("the engine did not answer in time") from error
        except UpstreamError as error:
            self._status.doubt()
            raise EngineBroke("the engine broke off before it answered") from error
        async with response:
            if response.status == _NOT_FOUND and not stored and not await self._still_served(call.model):
                self._status.doubt()
                raise Warming("the engine has lost the adapter; it is being loaded again")
            call.code = response.status
            await _pass_on(call, response)

    async def _still_served(self, model: str) -> bool:
        try:
            return model in (await self._engine.served()).cards
        except EngineAway:
            return False


async def _pass_on(call: _Call, response: Response) -> None:
    await asgi.start(call.send, response.status, _answered(response.headers))
    try:
        async for chunk in response:
            await asgi.write(call.send, chunk)
    except UpstreamError:
        asgi.abort(call.scope)  # a cut must stay a cut: a clean end would make half an answer look whole
        return
    await asgi.finish(call.send)


def _answered(fields: Headers) -> Headers:
    return headers.without(headers.forwardable(fields), b"server", b"set-cookie")
