"""JetStream's API (server 2.12 or newer): streams are made, written and read by their subjects."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

from nats.aio.msg import Msg

from agenttype_bus.connection import TIMEOUT, Connection
from agenttype_bus.errors import NoResponders, Unavailable, WrongRevision
from agenttype_bus.operation_labels import Operation
from agenttype_bus.streams import Stream

#: Messages that are asked for at once; a server answers a question with so many in one go.
_PAGE: Final = 500
#: Seconds for a stream to be made, by a program that makes it before anything is asked of it.
_PREPARE_SECONDS: Final = 5.0
# Codes of the API's errors.
_WRONG_REVISION: Final = (10071, 10164)
_EXISTS: Final = 10058
_NOT_FOUND: Final = 10059
#: The answer of a server that is no part of a cluster. One of a cluster that lacks peers just now says something else:
#: a single copy made then would stay single.
_NO_CLUSTER: Final = 10074
#: Statuses of a direct get: nothing more to come; nothing found.
_END, _NOTHING = "204", "404"
T = TypeVar("T")


class Message(NamedTuple):
    """What is written."""

    subject: str
    payload: bytes
    headers: dict[str, str]


class Entry(NamedTuple):
    """The last message of a subject; of what does not exist, no value, and the revision that creates it."""

    value: bytes = b""
    revision: int = 0


class JetStream:
    """Streams of one connection; one that is absent is made when something is asked of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def publish(self, operation: Operation, stream: Stream, message: Message) -> dict[str, Any]:
        """Write a message, and return the server's acknowledgement.

        Raises:
            WrongRevision: The headers name a revision that is not the subject's last one.
            Unavailable: It may or may not be written.
        """
        reply = await self._made(operation, stream, lambda: self._connection.request(operation, *message))
        answer: dict[str, Any] = json.loads(reply.data)
        error = answer.get("error")
        if error is not None and error.get("err_code") not in _WRONG_REVISION:
            raise self.failed(operation, str(error.get("description", "refused")))
        self._connection.succeeded(operation)
        if error is not None:
            raise WrongRevision(message.subject)
        return answer

    async def last(self, operation: Operation, stream: Stream, subject: str) -> Entry:
        """Return the last message of a subject, perhaps an old one: any server of a cluster may answer.

        Raises:
            Unavailable: There is no answer.
        """
        question = f"$JS.API.DIRECT.GET.{stream.name}.{subject}"
        message = await self._made(operation, stream, lambda: self._connection.request(operation, question, b""))
        headers = message.headers or {}
        status = headers.get("Status")
        if status not in (None, _NOTHING):
            raise self.failed(operation, f"status {status}")
        self._connection.succeeded(operation)
        return Entry() if status is not None else _entry(message)

    async def page(self, operation: Operation, stream: Stream, pattern: str, after: int) -> dict[str, Entry]:
        """Return the next messages of subjects with wildcards by subject, in the order in which they were written.

        A caller that goes on after the last of them misses none: an entry that is written again moves to the end.

        Raises:
            Unavailable: There is no answer, or no end of it.
        """
        question = json.dumps({"seq": after + 1, "batch": _PAGE, "next_by_subj": pattern}).encode()
        subject = f"$JS.API.DIRECT.GET.{stream.name}"
        *found, end = await self._connection.request_many(operation, subject, question, _has_status)
        status = (end.headers or {})["Status"]
        if status not in (_END, _NOTHING):
            raise self.failed(operation, f"status {status}")
        self._connection.succeeded(operation)
        return {(message.headers or {})["Nats-Subject"]: _entry(message) for message in found}

    async def create(self, stream: Stream) -> None:
        """Make a stream where it is absent; how it is, where another client made it, is theirs.

        Raises:
            Unavailable: The server does not make it.
        """
        # Three copies in a cluster, else one.
        error = await self._stream("CREATE", stream, {"num_replicas": 3})
        if error is not None and error.get("err_code") == _NO_CLUSTER:
            error = await self._stream("CREATE", stream, {"num_replicas": 1})
        if error is not None and error.get("err_code") != _EXISTS:
            raise self.failed(Operation.CREATE, str(error.get("description", "refused")))

    async def create_or_update(self, stream: Stream) -> None:
        """Make a stream, or bring it to its settings.

        Raises:
            Unavailable: The server does neither.
        """
        error = await self._stream("UPDATE", stream, {}, _PREPARE_SECONDS)
        if error is not None and error.get("err_code") == _NOT_FOUND:
            error = await self._stream("CREATE", stream, {}, _PREPARE_SECONDS)
        if error is not None:
            raise self.failed(Operation.CREATE, f"{stream.name}: {error.get('description', error)}")

    def failed(self, operation: Operation, why: str) -> Unavailable:
        """Count an answer that is of no use, and return the error to raise."""
        return self._connection.failed(operation, why)

    async def _stream(
        self, verb: str, stream: Stream, more: dict[str, Any], seconds: float = TIMEOUT
    ) -> dict[str, Any] | None:
        body = json.dumps({**stream.settings, "name": stream.name, **more}).encode()
        subject = f"$JS.API.STREAM.{verb}.{stream.name}"
        reply = await self._connection.request(Operation.CREATE, subject, body, seconds=seconds)
        error: dict[str, Any] | None = json.loads(reply.data).get("error")
        return error

    async def _made(self, operation: Operation, stream: Stream, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask; where no stream answers, make it and ask once more."""
        with contextlib.suppress(NoResponders):
            return await ask()
        try:
            await self.create(stream)
            return await ask()
        except NoResponders as error:
            raise self.failed(operation, "no server keeps the stream") from error


def _has_status(message: Msg) -> bool:
    return "Status" in (message.headers or {})


def _entry(message: Msg) -> Entry:
    return Entry(message.data, int((message.headers or {})["Nats-Sequence"]))
