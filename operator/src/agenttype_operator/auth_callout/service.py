"""The auth callout service: answers the NATS server's authorization requests, and makes the streams they need."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import nats
import nkeys
from agenttype_api import store_names
from agenttype_runtime.json_log import Log
from nats.aio.client import Client
from nats.aio.msg import Msg

from agenttype_operator.auth_callout import nats_jwt, permissions
from agenttype_operator.kube import errors
from agenttype_operator.kube.kinds import Raw

log = Log("auth_callout")

#: Where the server asks.
_REQUESTS: Final = "$SYS.REQ.USER.AUTH"
_NOT_FOUND: Final = 10059
#: How many tokens are reviewed at once; after a restart of the server every sidecar comes back within seconds.
_REVIEWS: Final = 32

Review = Callable[[str], Awaitable[Raw]]


class NotMade(Exception):  # noqa: N818 — it is tried again
    """The server does not make a stream; the message is its own."""


class AuthCalloutService:
    """Answers one server.

    Args:
        url: where the server is.
        seed: of the key by which we connect.
        issuer: the key with which answers are signed.
        review: asks the API server whose a token is; returns its TokenReview.
    """

    def __init__(self, url: str, seed: str, issuer: nkeys.KeyPair, review: Review) -> None:
        self._url = url
        self._seed = seed
        self._issuer = issuer
        self._review = review
        self._slots = asyncio.Semaphore(_REVIEWS)
        self._answering: set[asyncio.Task[None]] = set()
        self._again = asyncio.Event()
        self._client: Client | None = None
        self._made = False
        self._namespaces: dict[str, asyncio.Task[None]] = {}

    @property
    def ready(self) -> bool:
        """Whether connections are answered, and what they use is there."""
        return self._made and self._client is not None and self._client.is_connected

    async def run(self) -> None:
        """Connect, make what is missing, and answer until cancelled."""
        self._client = await nats.connect(
            self._url,
            nkeys_seed_str=self._seed,
            name="auth-callout",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            reconnected_cb=self._reconnected,
            error_cb=_failed,
        )
        try:
            await self._client.subscribe(_REQUESTS, cb=self._asked)
            while True:
                self._again.clear()
                await self._make(self._client)
                await self._again.wait()
        finally:
            await self._client.close()

    async def _reconnected(self) -> None:
        self._again.set()

    async def _make(self, client: Client) -> None:
        """Make the streams of counters, or bring them to their settings; wait while the server cannot."""
        self._made = False
        self._namespaces.clear()  # the server may be another one now
        while True:
            try:
                for window in store_names.SHARED:
                    await _make_stream(client, store_names.counters(window))
            except (NotMade, nats.errors.Error, TimeoutError) as error:
                log.warning("streams not made yet", error=str(error) or type(error).__name__)
                await asyncio.sleep(1.0)
                continue
            self._made = True
            return

    async def _make_streams_of(self, namespace: str) -> None:
        """Make a namespace's streams of entries once, however many of its sidecars come at once.

        Raises:
            NotMade: the server refuses.
        """
        making = self._namespaces.get(namespace)
        if making is None or (making.done() and (making.cancelled() or making.exception())):
            making = self._namespaces[namespace] = asyncio.create_task(self._make_entries(namespace))
        await asyncio.shield(making)

    async def _make_entries(self, namespace: str) -> None:
        if self._client is None:
            raise NotMade("not connected")
        try:
            for window in store_names.SHARED:
                await _make_stream(self._client, store_names.entries(window, namespace))
        except (nats.errors.Error, TimeoutError) as error:
            raise NotMade(str(error) or type(error).__name__) from error

    async def _asked(self, message: Msg) -> None:
        task = asyncio.create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Msg) -> None:
        try:
            asked = nats_jwt.authorization_request(message.data)
        except nats_jwt.UnreadableRequest as error:
            log.warning("authorization request not understood", error=str(error))
            return
        async with self._slots:
            told = await self._told(asked)
        await message.respond(nats_jwt.authorization_response(asked, told, self._issuer, int(time.time())))

    async def _told(self, asked: nats_jwt.AuthorizationRequest) -> dict[str, str]:
        try:
            # A TokenReview of no token is another error; a client that gives none is refused like all others.
            who = permissions.caller(await self._review(asked.token) if asked.token else {})
            await self._make_streams_of(who.namespace)
        except (permissions.Denied, errors.OperatorError) as error:
            log.warning("connection refused", host=asked.host, error=str(error))
            return {"error": "the token was not accepted"}
        except NotMade as error:
            log.warning("streams not made yet", host=asked.host, error=str(error))
            return {"error": "NATS is not ready; try again"}
        log.debug("connection accepted", host=asked.host, agent=f"{who.namespace}/{who.agent}")
        return {"jwt": nats_jwt.user_jwt(asked, permissions.permissions(who), self._issuer, int(time.time()))}


async def _make_stream(client: Client, settings: dict[str, Any]) -> None:
    body, name = json.dumps(settings).encode(), settings["name"]
    for verb in ("UPDATE", "CREATE"):
        reply = await client.request(f"$JS.API.STREAM.{verb}.{name}", body, timeout=5)
        error = json.loads(reply.data).get("error")
        if error is None:
            return
        if error.get("err_code") != _NOT_FOUND or verb == "CREATE":
            raise NotMade(f"{name}: {error.get('description', error)}")


async def _failed(error: Exception) -> None:
    log.warning("NATS", error=str(error) or type(error).__name__)
