"""The way to a backend: credentials, deadlines, and patience with one that is still starting."""

import asyncio
from typing import Final

import orjson
from agenttype_api import keys
from agenttype_proxy import headers as fields
from agenttype_proxy.client import Client
from agenttype_proxy.errors import ConnectFailed, ConnectTimeout, UpstreamError
from agenttype_proxy.messages import Deadlines, Headers, Request
from agenttype_proxy.response import Response

from agenttype_sidecar.backends.credentials import Credentials
from agenttype_sidecar.budget.book import Hold
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.errors import BackendWarming, CredentialUnavailable, UpstreamFailed
from agenttype_sidecar.llm.call import Call, tokenize_body
from agenttype_sidecar.policies import Active

#: What a caller says of itself; the backend hears our proof, and whose call it is from nobody else.
_DROPPED: Final = frozenset({
    b"authorization", b"x-api-key", b"api-key", b"cookie", b"openai-organization", b"openai-project",
    b"content-type", b"content-encoding", b"accept-encoding", *fields.HOP_BY_HOP, *fields.OF_ONE_REQUEST,
})  # fmt: skip
_OURS: Final = b"x-agenttype-"
_FIXED: Final = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
_REASON: Final = keys.HEADER_REASON.encode()
_WARMING: Final = b"warming"
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_COUNT_DEADLINES: Final = Deadlines(connect=1.0, first_byte=5.0, idle=5.0, total=5.0)
_COUNT_BYTES: Final = 64 * 1024 * 1024


class Upstream:
    """Sends calls to backends."""

    def __init__(self, client: Client, credentials: Credentials, ledger: Ledger) -> None:
        self._client = client
        self._credentials = credentials
        self._ledger = ledger

    async def send(self, call: Call, active: Active, hold: Hold, request: Request) -> Response:
        """Send a call and return the head of its answer; the ledger knows before the backend does.

        A backend that refuses connections, or whose gate says that it is warming up, is asked again until
        `timeouts.warm_up` has passed. Nothing of such an attempt is charged.

        Raises:
            BackendWarming: It is still not there.
            LedgerUnavailable: The call could not be recorded, so it was not sent.
            CredentialUnavailable: We have no proof to send.
            UpstreamFailed: The call cannot be sent as it is.
            UpstreamError: It failed after it was sent.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + active.policy.timeouts.warm_up
        pause = _FIRST_PAUSE
        backend = call.target.backend
        own = request.headers
        while True:
            request.headers = own + self._credentials.headers(backend, call.endpoint.protocol)
            self._ledger.dispatch(hold)
            response = await self._attempt(call, active, hold, request)
            if response is not None:
                return response
            if loop.time() + pause > due:
                raise BackendWarming("the model is not ready yet; its backend is starting or cannot be reached")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def count(self, call: Call, active: Active) -> int | None:
        """Return the exact tokens of a call's prompt, None where its engine cannot tell; this costs nothing."""
        body = tokenize_body(call)
        if body is None:
            return None
        backend = call.target.backend
        try:
            proof = self._credentials.headers(backend, call.endpoint.protocol)
            origin = active.origin(backend)
            request = Request(b"POST", origin.target(b"/tokenize"), _FIXED + proof, body)
            async with await self._client.send(origin, request, _COUNT_DEADLINES) as response:
                answer = orjson.loads(await response.read(_COUNT_BYTES))
        except (UpstreamError, CredentialUnavailable, orjson.JSONDecodeError):
            return None
        count = answer.get("count") if response.status == 200 and isinstance(answer, dict) else None  # noqa: PLR2004
        return count if isinstance(count, int) else None

    async def _attempt(self, call: Call, active: Active, hold: Hold, request: Request) -> Response | None:
        """Return the answer's head, None where the backend is not there yet."""
        try:
            response = await self._client.send(active.origin(call.target.backend), request, active.deadlines)
        except UpstreamError as error:
            if error.dispatched:
                raise
            self._ledger.recall(hold)
            if isinstance(error, ConnectFailed | ConnectTimeout):
                return None
            raise UpstreamFailed("the call cannot be sent to the model's backend") from error
        if response.status == 503 and fields.get(response.headers, _REASON) == _WARMING:  # noqa: PLR2004
            response.abort()
            self._ledger.recall(hold)
            return None
        return response


def request(call: Call, active: Active, body: bytes, caller: Headers, query: bytes) -> Request:
    """Return what goes upstream, without our proof.

    Args:
        call: the call.
        active: its policy.
        body: the rewritten body.
        caller: the caller's header fields.
        query: the caller's query string, which is passed on and never looked at.
    """
    path = call.endpoint.path + (b"?" + query if query else b"")
    passing = fields.forwardable(caller)
    kept = [field for field in passing if field[0] not in _DROPPED and not field[0].startswith(_OURS)]
    return Request(b"POST", active.origin(call.target.backend).target(path), kept + _FIXED, body)
