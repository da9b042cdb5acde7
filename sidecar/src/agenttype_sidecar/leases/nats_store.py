"""The store of shared budgets on NATS JetStream (server 2.12 or newer); the only module that speaks to it.

Every window has streams (`store_names`), made here where nobody has made them: of counters, where each message adds
(Nats-Incr) and its answer says the sum, and of entries, where each message names the revision that it replaces. Windows
that end are forgotten long after, so that a clock that is set back cannot spend one again.

Reads may be answered by any server of a cluster, and be old; writes are answered once most of its servers have them. So
whether the store works is known from writes: a server that is cut off from the others goes on answering reads.
"""

import asyncio
import contextlib
import json
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agenttype_api import store_names
from agenttype_api.policy import Identity, Nats
from agenttype_runtime.json_log import Log

from agenttype_sidecar.leases.shares import (
    RETURNS,
    Account,
    Conflict,
    Entry,
    Look,
    StoreUnavailable,
    Sums,
    Take,
)

if TYPE_CHECKING:  # imported when a limit is shared: others must not pay for it
    from nats.aio.client import Client
    from nats.aio.msg import Msg

#: What can fail.
OPERATIONS: Final = ("connect", "create", "add", "get", "put", "look")
#: Seconds after which a request counts as lost.
TIMEOUT: Final = 1.0
#: What succeeds only where the store can keep what it is told.
_WRITES: Final = ("add", "put", "create")
#: Entries that are asked for at once; a server answers a question with so many in one go.
_PAGE: Final = 500
#: Seconds after which an entry that fades is gone.
_MARKED: Final = 3600
#: The answers to an entry whose revision is another.
_WRONG_REVISION: Final = (10071, 10164)
_EXISTS: Final = 10058
#: The answer of a server that is no part of a cluster. One of a cluster that lacks peers just now says something else:
#: a single copy made then would stay single.
_NO_CLUSTER: Final = 10074
T = TypeVar("T")
_log = Log("nats")


class _NoStream(StoreUnavailable):
    """Nobody keeps this subject, yet or at all."""


class NatsStore:
    """A connection that is made anew for ever, and what is asked over it.

    Attributes:
        failures: How often each of `OPERATIONS` failed.
        connections: How often it was connected.
    """

    def __init__(self, at: Nats, token: Path | None, identity: Identity) -> None:
        """Prepare to connect.

        Args:
            at: where it is, and who vouches for it.
            token: a file that is read at every connect; None where the server wants none.
            identity: whose sidecar this is: the server lets it listen for answers to its own kind only.
        """
        self.failures: Counter[str] = Counter()
        self.connections = 0
        scheme, _, hosts = at.url.partition("://")
        self._servers = [f"{scheme}://{host}" for host in hosts.split(",")]
        self._tls = ssl.create_default_context(cadata=at.authority) if scheme == "tls" else None
        self._token = token
        self._inbox = store_names.inbox(identity.namespace, identity.name)
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

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

    async def add(self, account: Account, take: Take) -> int:
        """See `shares.Store`."""
        headers = {"Nats-Incr": f"+{take.amount}", "Nats-Msg-Id": take.operation}
        answer = await self._publish("add", account, (_counter(account), b""), headers)
        if "val" in answer:
            return int(answer["val"])
        if not answer.get("duplicate"):
            raise self._unavailable("add", "the stream does not count: the server must be 2.12 or newer")
        # It was added before, and nobody says what the sum was; a later one is no smaller.
        found = await self._read("add", store_names.counter_stream(account.window), _counter(account))
        if found.revision < answer["seq"]:
            raise self._unavailable("add", "the counter was read from a server that is behind")
        return _value(found)

    async def sums(self, account: Account) -> Sums:
        """See `shares.Store`."""
        counter, returns = await asyncio.gather(
            self._get(account, store_names.counter_stream(account.window), _counter(account)),
            self.get(account, RETURNS),
        )
        return Sums(_value(counter), returns)

    async def look(self, account: Account, since: int) -> Look:
        """See `shares.Store`."""
        sums = await self.sums(account)
        found: dict[str, Entry] = {}
        while page := await self._page(_entries(account), _entry(account, "*"), since):
            found |= page
            since = max(entry.revision for entry in page.values())
        found.pop(RETURNS, None)
        return Look(sums, found, since)

    async def get(self, account: Account, name: str) -> Entry:
        """See `shares.Store`."""
        return await self._get(account, _entries(account), _entry(account, name))

    async def put(self, account: Account, name: str, text: bytes, revision: int, *, fades: bool = False) -> int:
        """See `shares.Store`."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        if fades:
            headers["Nats-TTL"] = str(_MARKED)
        answer = await self._publish("put", account, (_entry(account, name), text), headers)
        return int(answer["seq"])

    async def _publish(
        self, operation: str, account: Account, message: tuple[str, bytes], headers: dict[str, str]
    ) -> dict[str, Any]:
        reply = await self._in_stream(account, operation, lambda: self._request(operation, *message, headers))
        answer: dict[str, Any] = json.loads(reply.data)
        error = answer.get("error")
        if error is not None and error.get("err_code") not in _WRONG_REVISION:
            raise self._unavailable(operation, str(error.get("description", "refused")))
        self._failing.clear()
        if error is not None:
            raise Conflict
        return answer

    async def _get(self, account: Account, stream: str, subject: str) -> Entry:
        return await self._in_stream(account, "get", lambda: self._read("get", stream, subject))

    async def _in_stream(self, account: Account, operation: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask; where no stream answers, make it and ask once more."""
        with contextlib.suppress(_NoStream):
            return await ask()
        try:
            await self._create(account)
            return await ask()
        except _NoStream as error:
            raise self._unavailable(operation, "no server keeps the stream") from error

    async def _read(self, operation: str, stream: str, subject: str) -> Entry:
        message = await self._request(operation, f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        headers = message.headers or {}
        status = headers.get("Status")
        if status not in (None, "404"):
            raise self._unavailable(operation, f"status {status}")
        self._failing.intersection_update(_WRITES)
        if status is not None:
            return Entry()
        return Entry(message.data, int(headers["Nats-Sequence"]))

    async def _page(self, stream: str, subjects: str, since: int) -> dict[str, Entry]:
        """Return the next entries under a wildcard, in the order in which they were written, by the end of their names.

        Whoever goes on after the last of them misses none: an entry that is written again moves to the end.
        """
        client = await self._client_now("look")
        question = json.dumps({"seq": since + 1, "batch": _PAGE, "next_by_subj": subjects}).encode()
        found: dict[str, Entry] = {}
        with self._counting("look"):
            inbox = client.new_inbox()
            answers = await client.subscribe(inbox)
            try:
                await client.publish(f"$JS.API.DIRECT.GET.{stream}", question, reply=inbox)
                while True:
                    message = await answers.next_msg(timeout=TIMEOUT)
                    headers = message.headers or {}
                    if "Status" in headers:
                        if headers["Status"] not in ("204", "404"):  # the end of the page; nothing on it
                            raise self._unavailable("look", f"status {headers['Status']}")
                        self._failing.intersection_update(_WRITES)
                        return found
                    name = headers["Nats-Subject"].rpartition(".")[2]
                    found[name] = Entry(message.data, int(headers["Nats-Sequence"]))
            finally:
                await answers.unsubscribe()

    async def _request(
        self, operation: str, subject: str, payload: bytes, headers: dict[str, str] | None = None
    ) -> "Msg":
        from nats.errors import NoRespondersError  # noqa: PLC0415 — see the top

        client = await self._client_now(operation)
        with self._counting(operation):
            try:
                return await client.request(subject, payload, timeout=TIMEOUT, headers=headers)
            except NoRespondersError as error:
                raise _NoStream from error

    async def _client_now(self, operation: str) -> "Client":
        """Return the connection; wait for it no longer than for an answer."""
        if not self._connected.is_set():
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._connected.wait()
            except TimeoutError as error:
                self.failures[operation] += 1
                raise StoreUnavailable("not connected") from error
        if self._client is None:
            raise StoreUnavailable("not connected")
        return self._client

    @contextlib.contextmanager
    def _counting(self, operation: str) -> Iterator[None]:
        """Turn what the client raises into ours."""
        from nats.errors import Error  # noqa: PLC0415 — see the top

        try:
            yield
        except (Error, OSError, TimeoutError) as error:
            raise self._unavailable(operation, str(error) or type(error).__name__) from error

    def _unavailable(self, operation: str, why: str) -> StoreUnavailable:
        self.failures[operation] += 1
        self._failing.add(operation)
        _log.warning("nats request failed", operation=operation, error=why)
        return StoreUnavailable(why)

    async def _create(self, account: Account) -> None:
        """Make the account's streams where they are absent; how they are, where somebody else made them, is theirs."""
        await self._create_stream(store_names.counters(account.window))
        await self._create_stream(store_names.entries(account.window, _namespace(account)))

    async def _create_stream(self, config: dict[str, Any]) -> None:
        # Three copies in a cluster, else one.
        for replicas in (3, 1):
            question = json.dumps(config | {"num_replicas": replicas}).encode()
            message = await self._request("create", f"$JS.API.STREAM.CREATE.{config['name']}", question)
            error = json.loads(message.data).get("error")
            if error is None or error.get("err_code") == _EXISTS:
                return
            if error.get("err_code") != _NO_CLUSTER:
                break
        raise self._unavailable("create", str(error.get("description", "refused")))

    async def _stay_connected(self) -> None:
        from nats.errors import Error  # noqa: PLC0415 — see the top

        while True:
            client = self._client = self._new_client()
            closed = asyncio.Event()
            try:
                await client.connect(self._servers, **self._options(closed))
                self._up()
                await closed.wait()
            except (Error, OSError, TimeoutError) as error:
                self._noted(error)
                await asyncio.sleep(TIMEOUT)
            finally:
                self._client = None
                self._connected.clear()
                with contextlib.suppress(Error, OSError, TimeoutError):
                    await client.close()

    def _new_client(self) -> "Client":
        if self._tls is not None:
            from agenttype_sidecar.leases.tls_client import TlsClient  # noqa: PLC0415 — see the top

            return TlsClient()
        from nats.aio.client import Client  # noqa: PLC0415 — see the top

        return Client()

    def _options(self, closed: asyncio.Event) -> dict[str, Any]:
        async def on_error(error: Exception) -> None:
            self._noted(error)

        async def on_up() -> None:
            self._up()

        async def on_down() -> None:
            self._connected.clear()

        async def on_closed() -> None:
            closed.set()

        return {
            "name": "agenttype-sidecar",
            "inbox_prefix": self._inbox,
            "error_cb": on_error,
            "reconnected_cb": on_up,
            "disconnected_cb": on_down,
            "closed_cb": on_closed,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": 0.1,
            "connect_timeout": 2,
            "ping_interval": 2,
            "max_outstanding_pings": 2,
            "pending_size": 0,  # what cannot be sent now must fail now, not be sent later
            "token": self._read_token if self._token else None,
            "tls": self._tls,
        }

    def _up(self) -> None:
        self.connections += 1
        self._failing.clear()
        self._connected.set()

    def _noted(self, error: Exception) -> None:
        self.failures["connect"] += 1
        _log.info("nats connection failed", error=str(error) or type(error).__name__)

    def _read_token(self) -> str:
        return self._token.read_text().strip() if self._token else ""


def _namespace(account: Account) -> str:
    return account.key.partition(".")[0]


def _entries(account: Account) -> str:
    return store_names.entry_stream(account.window, _namespace(account))


def _counter(account: Account) -> str:
    return f"{store_names.COUNTERS}.{account.window.lower()}.{account.key}.{account.index}"


def _entry(account: Account, name: str) -> str:
    return f"{store_names.ENTRIES}.{account.window.lower()}.{account.key}.{account.index}.{name}"


def _value(entry: Entry) -> int:
    return int(json.loads(entry.text)["val"]) if entry.text else 0
