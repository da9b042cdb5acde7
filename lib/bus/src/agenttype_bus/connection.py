"""One connection to NATS: made again for ever, with every failure counted; the only module that opens sockets.

Reads may be answered by any server of a cluster, and be old; writes are answered once most of its servers have them. So
whether NATS works is known from writes: a server that is cut off from the others goes on answering reads.
"""

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from agenttype_runtime.json_log import Log
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, NoRespondersError

from agenttype_bus.errors import NoResponders, Unavailable
from agenttype_bus.operation_labels import Operation
from agenttype_bus.tls_client import TlsClient

#: Seconds after which a request counts as lost.
TIMEOUT: Final = 1.0
#: Seconds between two attempts to connect: of the library, which knows the servers, and of ours after it gave up.
_BETWEEN: Final = 0.1
_AFTER_CLOSE: Final = 1.0
#: What the client raises.
_FAILURES: Final = (Error, OSError, TimeoutError)

Responder = Callable[[bytes], Awaitable[bytes | None]]

_log = Log("nats")


@dataclass(frozen=True, kw_only=True)
class ConnectionSettings:
    """Where NATS is, and who we are.

    Attributes:
        url: `nats://host:port` or `tls://host:port`; of a cluster all its servers: `nats://host:port,host:port`.
        client: What the server calls us in its log.
        inbox: Prefix of the subjects on which we get answers: the server may let us listen to no other.
        authority: Certificates (PEM) of which one must vouch for a server at tls://; None: the system's.
        token_file: Read at every connect; None where the server wants no token.
        nkey_seed: Seed of our key; None where the server knows none.
    """

    url: str
    client: str
    inbox: str = "_INBOX"
    authority: str | None = None
    token_file: Path | None = None
    nkey_seed: str | None = None


class Connection:
    """A connection that is made again for ever, and what is asked over it.

    Attributes:
        failures: How often each `Operation` failed.
        connections: How often it was connected.
    """

    def __init__(self, settings: ConnectionSettings) -> None:
        """Prepare to connect."""
        self.failures: Counter[str] = Counter()
        self.connections = 0
        scheme, _, hosts = settings.url.partition("://")
        self._servers = [f"{scheme}://{host}" for host in hosts.split(",")]
        self._tls = ssl.create_default_context(cadata=settings.authority) if scheme == "tls" else None
        self._settings = settings
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._counted = asyncio.Condition()
        self._failing: set[Operation] = set()
        self._task: asyncio.Task[None] | None = None
        self._responders: dict[str, Responder] = {}
        self._responding: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        """Whether it is connected now."""
        return self._connected.is_set()

    @property
    def reachable(self) -> bool:
        """Whether it is connected, and what failed has succeeded since."""
        return self._connected.is_set() and not self._failing

    def open(self) -> None:
        """Begin to connect, and go on until `close`."""
        if self._task is None:
            self._task = asyncio.create_task(self._stay_connected())

    async def close(self) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        for task in self._responding:
            task.cancel()
        await asyncio.gather(*self._responding, return_exceptions=True)

    async def wait_connected(self, after: int = 0) -> int:
        """Wait until it was connected more than `after` times; return how often it was."""
        async with self._counted:
            await self._counted.wait_for(lambda: self.connections > after)
            return self.connections

    def respond(self, subject: str, responder: Responder) -> None:
        """Answer the requests on a subject, each in a task of its own; None leaves one unanswered.

        It begins with the next connection: call it before `open`.
        """
        self._responders[subject] = responder

    async def request(
        self,
        operation: Operation,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None = None,
        seconds: float = TIMEOUT,
    ) -> Msg:
        """Ask, and return the answer.

        Raises:
            NoResponders: Nothing listens there; this is not counted as a failure.
            Unavailable: There is no connection, or no answer in time.
        """
        client = await self._client_now(operation)
        with self._counting(operation):
            try:
                return await client.request(subject, payload, timeout=seconds, headers=headers)
            except NoRespondersError as error:
                raise NoResponders("nothing listens on this subject") from error

    async def request_many(
        self, operation: Operation, subject: str, payload: bytes, is_last: Callable[[Msg], bool]
    ) -> list[Msg]:
        """Ask, and return all answers up to the one that says it is the last.

        Raises:
            Unavailable: There is no connection, or the next answer does not come in time.
        """
        client = await self._client_now(operation)
        found: list[Msg] = []
        with self._counting(operation):
            inbox = client.new_inbox()
            answers = await client.subscribe(inbox)
            try:
                await client.publish(subject, payload, reply=inbox)
                while not found or not is_last(found[-1]):
                    found.append(await answers.next_msg(timeout=TIMEOUT))
            finally:
                await answers.unsubscribe()
        return found

    def succeeded(self, operation: Operation) -> None:
        """Note that NATS did what it was asked: after a write nothing fails any more, after a read no read does."""
        if operation.is_write:
            self._failing.clear()
        else:
            self._failing = {failing for failing in self._failing if failing.is_write}

    def failed(self, operation: Operation, why: str) -> Unavailable:
        """Count a failure, and return the error to raise."""
        self.failures[operation] += 1
        self._failing.add(operation)
        _log.warning("nats request failed", operation=operation, error=why)
        return Unavailable(why)

    async def _client_now(self, operation: Operation) -> Client:
        """Return the connection; wait for it no longer than for an answer."""
        if not self._connected.is_set():
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._connected.wait()
            except TimeoutError as error:
                self.failures[operation] += 1
                raise Unavailable("not connected") from error
        if self._client is None:
            raise Unavailable("not connected")
        return self._client

    @contextlib.contextmanager
    def _counting(self, operation: Operation) -> Iterator[None]:
        """Turn what the client raises into ours."""
        try:
            yield
        except _FAILURES as error:
            raise self.failed(operation, str(error) or type(error).__name__) from error

    async def _stay_connected(self) -> None:
        while True:
            client = self._client = TlsClient() if self._tls is not None else Client()
            closed = asyncio.Event()
            try:
                await client.connect(self._servers, **self._options(closed))
                for subject, responder in self._responders.items():
                    await client.subscribe(subject, cb=partial(self._received, responder))
                if self._responders:
                    await client.flush()  # connected means that requests are heard; the library does it at reconnects
                await self._up()
                await closed.wait()
            except _FAILURES as error:
                self._noted(error)
                await asyncio.sleep(_AFTER_CLOSE)
            finally:
                self._client = None
                self._connected.clear()
                with contextlib.suppress(*_FAILURES):
                    await client.close()

    def _options(self, closed: asyncio.Event) -> dict[str, Any]:
        async def on_error(error: Exception) -> None:
            self._noted(error)

        async def on_down() -> None:
            self._connected.clear()

        async def on_closed() -> None:
            closed.set()

        return {
            "name": self._settings.client,
            "inbox_prefix": self._settings.inbox,
            "error_cb": on_error,
            "reconnected_cb": self._up,
            "disconnected_cb": on_down,
            "closed_cb": on_closed,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": _BETWEEN,
            "connect_timeout": 2,
            "ping_interval": 2,
            "max_outstanding_pings": 2,
            "pending_size": 0,  # what cannot be sent now must fail now, not be sent later
            "token": self._read_token if self._settings.token_file else None,
            "nkeys_seed_str": self._settings.nkey_seed,
            "tls": self._tls,
        }

    async def _up(self) -> None:
        self.connections += 1
        self._failing.clear()
        self._connected.set()
        async with self._counted:
            self._counted.notify_all()

    def _noted(self, error: Exception) -> None:
        self.failures[Operation.CONNECT] += 1
        _log.info("nats connection failed", error=str(error) or type(error).__name__)

    def _read_token(self) -> str:
        return self._settings.token_file.read_text().strip() if self._settings.token_file else ""

    async def _received(self, responder: Responder, message: Msg) -> None:
        """Begin to answer: the library calls back one message after another, and waits for each."""
        task = asyncio.create_task(self._respond(responder, message))
        self._responding.add(task)
        task.add_done_callback(self._responding.discard)

    async def _respond(self, responder: Responder, message: Msg) -> None:
        answer = await responder(message.data)
        if answer is None:
            return
        try:
            await message.respond(answer)
        except _FAILURES as error:
            self._noted(error)
