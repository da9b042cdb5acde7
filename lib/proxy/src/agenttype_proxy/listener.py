"""What the connections of one listener share: the app, the limits, and a count of who is there."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from agenttype_proxy.asgi import ASGIApp


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a listener accepts of its callers.

    Attributes:
        connections: Answered at once; up to twice as many are told 503, beyond that they are closed unheard.
        head_bytes: Request line and header fields, in all; trailers likewise.
        head_fields: Header fields in a request.
        head_seconds: From the first byte (or the connection's begin) to the whole head.
        idle_seconds: How long a connection may rest between two requests.
        stall_seconds: How long a caller may leave written bytes unread.
        linger_seconds: How long a refused caller may go on sending before it is cut.
        pipelined: Requests that may wait behind the one being answered; what follows is not read before.
        buffer_bytes: Body bytes that wait for the app before we stop reading.
        body_bytes: Of all bodies larger than `buffer_bytes` whose apps are running; beyond, only the oldest unfinished
            one is read on. An app may keep several copies of a body, so this is a third or less of the memory.
    """

    connections: int = 512
    head_bytes: int = 65_536
    head_fields: int = 128
    head_seconds: float = 5.0
    idle_seconds: float = 60.0
    stall_seconds: float = 60.0
    linger_seconds: float = 2.0
    pipelined: int = 16
    buffer_bytes: int = 65_536
    body_bytes: int = 268_435_456


class RequestBody(Protocol):
    """A request's body, as far as the room that it takes is concerned."""

    received: bool
    """Whether all of it is here."""


class ListenerConnection(Protocol):
    """A connection, as far as its end is concerned."""

    def drain(self) -> None:
        """Take no further request; close once the running one is answered."""

    def kill(self) -> None:
        """End at once, visibly unfinished."""

    def regulate(self) -> None:
        """Look again whether to read on."""


class Listener:
    """One listener's app, limits, connections and running apps."""

    __slots__ = ("_large", "_room", "_watchers", "app", "connections", "limits", "tasks")

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self.app = app
        self.limits = limits
        self.connections: set[ListenerConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._watchers: list[asyncio.Future[None]] = []
        self._large: dict[RequestBody, int] = {}  # the bodies that are larger than a buffer, oldest first
        self._room = limits.body_bytes

    async def quiet(self) -> None:
        """Wait until no connection and no running app is left."""
        while self.connections or self.tasks:
            watcher = asyncio.get_running_loop().create_future()
            self._watchers.append(watcher)
            await watcher

    def joined(self, connection: ListenerConnection) -> None:
        """Count a connection."""
        self.connections.add(connection)

    def left(self, connection: ListenerConnection) -> None:
        """Count a connection out."""
        self.connections.discard(connection)
        self._tell()

    def started(self, task: asyncio.Task[None]) -> None:
        """Count a running app."""
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def weigh(self, body: RequestBody, size: int) -> None:
        """Count a body that has become larger than a buffer, or has grown since."""
        self._room += self._large.get(body, 0) - size
        self._large[body] = size

    def may_grow(self, body: RequestBody) -> bool:
        """Return whether to read on: there is room, or nothing before this one can give any by being read."""
        return self._room > 0 or body is next((each for each in self._large if not each.received), body)

    def settled(self, body: RequestBody, *, gone: bool) -> None:
        """Note that a body has been received, or is `gone` from memory; others may have been waiting for that."""
        if body not in self._large:
            return
        if gone:
            self._room += self._large.pop(body)
        for connection in tuple(self.connections):
            connection.regulate()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._tell()

    def _tell(self) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)
