"""Sends calls to backends: credentials, deadlines, and which of the caller's header fields go along."""

from typing import Final

import orjson
from agenttype_api.policy import Backend, WireProtocol
from agenttype_proxy import headers as fields
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.messages import Deadlines, Headers, Request
from agenttype_proxy.response import Response

from agenttype_sidecar.backends.certificate_authorities import Authorities, refused
from agenttype_sidecar.backends.credentials import Credentials
from agenttype_sidecar.backends.session_affinity import SessionAffinity
from agenttype_sidecar.budget.balances import Hold
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.errors import CredentialUnavailable
from agenttype_sidecar.llm.call import LlmCall, tokenize_body
from agenttype_sidecar.policy.policies import Active

#: Fields of the caller that do not go to a backend; it gets our credential, and learns whose call it is only from us.
_DROPPED: Final = frozenset({
    b"authorization", b"x-api-key", b"api-key", b"cookie", b"openai-organization", b"openai-project",
    b"content-type", b"content-encoding", b"accept-encoding", *fields.HOP_BY_HOP, *fields.OF_ONE_REQUEST,
    *fields.MISLEADING,
})  # fmt: skip
_PREFIXES: Final = (b"x-agenttype-", *fields.MISLEADING_PREFIXES)
_FIXED: Final = [(b"content-type", b"application/json"), (b"accept-encoding", b"identity")]
_COUNT_DEADLINES: Final = Deadlines(connect=1.0, first_byte=5.0, idle=5.0, total=5.0)
_COUNT_BYTES: Final = 64 * 1024 * 1024


class Upstream:
    """Sends calls to backends."""

    def __init__(
        self, authorities: Authorities, credentials: Credentials, ledger: Ledger, session: SessionAffinity
    ) -> None:
        self._authorities = authorities
        self._session = session
        self._credentials = credentials
        self._ledger = ledger

    async def send(self, call: LlmCall, active: Active, hold: Hold, request: Request) -> Response:
        """Send a call once and return the head of its answer; the call is recorded in the ledger before it is sent.

        Raises:
            LedgerUnavailable: The call could not be recorded, so it was not sent.
            CredentialUnavailable: We have no credential for it.
            CertificateRefused: The backend's certificate is not valid for it.
            UpstreamError: It failed; if nothing of it was sent, the hold is reserved again.
        """
        backend = call.target.backend
        proof = self._credentials.headers(backend, call.endpoint.protocol)
        request.headers = self._session.on(request.headers) + proof
        client = self._authorities.client(backend)
        self._ledger.dispatch(hold)
        try:
            return await client.send(active.origin(backend), request, active.deadlines)
        except UpstreamError as error:
            if not error.dispatched:
                self._ledger.recall(hold)
                if (refusal := refused(error)) is not None:
                    raise refusal from error
            raise

    async def count(self, call: LlmCall, active: Active) -> int | None:
        """Return the exact tokens of a call's prompt, None if its engine cannot count them; this costs nothing."""
        body = tokenize_body(call)
        if body is None:
            return None
        backend = call.target.backend
        try:
            proof = self._credentials.headers(backend, call.endpoint.protocol)
            origin = active.origin(backend)
            request = Request(b"POST", origin.target(b"/tokenize"), _FIXED + proof, body)
            client = self._authorities.client(backend)
            async with await client.send(origin, request, _COUNT_DEADLINES) as response:
                answer = orjson.loads(await response.read(_COUNT_BYTES))
        except (UpstreamError, CredentialUnavailable, orjson.JSONDecodeError):
            return None
        count = answer.get("count") if response.status == 200 and isinstance(answer, dict) else None  # noqa: PLR2004
        return count if isinstance(count, int) else None

    async def fetch(self, backend: Backend, active: Active, request: Request) -> Response:
        """Send a request that costs nothing, once, and return the head of its answer.

        Raises:
            CredentialUnavailable: We have no credential for it.
            CertificateRefused: The backend's certificate is not valid for it.
            UpstreamError: It failed.
        """
        request.headers = self._session.on(request.headers) + self._credentials.headers(backend, WireProtocol.OPENAI)
        origin = active.origin(backend)
        request.target = origin.target(request.target)
        try:
            return await self._authorities.client(backend).send(origin, request, active.deadlines)
        except UpstreamError as error:
            if (refusal := refused(error)) is not None:
                raise refusal from error
            raise


def request(call: LlmCall, active: Active, body: bytes, caller: Headers, query: bytes) -> Request:
    """Return the request that goes upstream, without our credential.

    Args:
        call: the call.
        active: its policy.
        body: the rewritten body.
        caller: the caller's header fields.
        query: the caller's query string, passed on unread.
    """
    path = call.endpoint.path + (b"?" + query if query else b"")
    return Request(b"POST", active.origin(call.target.backend).target(path), passing(caller) + _FIXED, body)


def passing(caller: Headers) -> Headers:
    """Return the caller's header fields that go to a backend."""
    named = fields.named_by_connection(caller)
    return [
        field
        for field in caller
        if field[0] not in _DROPPED and field[0] not in named and not field[0].startswith(_PREFIXES)
    ]
