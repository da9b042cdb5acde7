"""The auth callout service: answers the NATS server's authorization requests, and makes the streams they need."""

import asyncio
import time
from typing import Final

from agenttype_authn.errors import AuthnError, Unauthenticated
from agenttype_authn.token_reviews import TokenReviews
from agenttype_bus import nats_jwt, permissions, streams
from agenttype_bus.connection import Connection
from agenttype_bus.errors import InvalidName, Unavailable, UnreadableRequest
from agenttype_bus.jetstream import JetStream
from agenttype_bus.nats_jwt import AuthorizationRequest
from agenttype_bus.nkey import KeyPair
from agenttype_runtime.json_log import Log

log = Log("auth_callout")

#: Where the server asks.
_REQUESTS: Final = "$SYS.REQ.USER.AUTH"


class AuthCalloutService:
    """Answers one server.

    Args:
        connection: to the server, not open yet.
        issuer: the key with which answers are signed.
        reviews: says whose a token is.
    """

    def __init__(self, connection: Connection, issuer: KeyPair, reviews: TokenReviews) -> None:
        self._connection = connection
        self._jetstream = JetStream(connection)
        self._issuer = issuer
        self._reviews = reviews
        self._made = False
        self._namespaces: dict[str, asyncio.Task[None]] = {}

    @property
    def ready(self) -> bool:
        """Whether connections are answered, and what they use is there."""
        return self._made and self._connection.is_connected

    async def run(self) -> None:
        """Connect, make what is missing, and answer until cancelled."""
        self._connection.respond(_REQUESTS, self._answer)
        self._connection.open()
        connections = 0
        try:
            while True:
                connections = await self._connection.wait_connected(after=connections)
                await self._make_counters()
        finally:
            await self._connection.close()

    async def _make_counters(self) -> None:
        """Make the streams of counters, or bring them to their settings; wait while the server cannot."""
        self._made = False
        self._namespaces.clear()  # the server may be another one now
        while True:
            try:
                for window in streams.WINDOWS:
                    await self._jetstream.create_or_update(streams.counters(window))
            except Unavailable as error:
                log.warning("streams not made yet", error=str(error))
                await asyncio.sleep(1.0)
                continue
            self._made = True
            return

    async def _make_streams_of(self, namespace: str) -> None:
        """Make a namespace's streams of entries once, however many of its sidecars come at once.

        Raises:
            Unavailable: the server does not make them.
        """
        making = self._namespaces.get(namespace)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            making = self._namespaces[namespace] = asyncio.create_task(self._make_entries(namespace))
        await asyncio.shield(making)

    async def _make_entries(self, namespace: str) -> None:
        for window in streams.WINDOWS:
            await self._jetstream.create_or_update(streams.entries(window, namespace))

    async def _answer(self, message: bytes) -> bytes | None:
        try:
            asked = nats_jwt.authorization_request(message)
        except UnreadableRequest as error:
            log.warning("authorization request not understood", error=str(error))
            return None
        told = await self._told(asked)
        return nats_jwt.authorization_response(asked, told, self._issuer, int(time.time()))

    async def _told(self, asked: AuthorizationRequest) -> dict[str, str]:
        try:
            account = await self._reviews.service_account(asked.token)
            granted = permissions.of_sidecar(account.namespace, account.name)
            await self._make_streams_of(account.namespace)
        except (AuthnError, InvalidName) as error:
            why = error.detail if isinstance(error, Unauthenticated) else ""
            log.warning("connection refused", host=asked.host, error=why or str(error))
            return {"error": "the token was not accepted"}
        except Unavailable as error:
            log.warning("streams not made yet", host=asked.host, error=str(error))
            return {"error": "NATS is not ready; try again"}
        log.debug("connection accepted", host=asked.host, agent=str(account))
        return {"jwt": nats_jwt.user_jwt(asked, granted, self._issuer, int(time.time()))}
