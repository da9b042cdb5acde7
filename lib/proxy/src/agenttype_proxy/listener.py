"""What the connections of one listener share: the app, the limits, and the counts of connections and bodies."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from agenttype_proxy.asgi import ASGIApp


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What a listener accepts of its callers.

    Attributes:
        connections: Served at once; up to twice as many get 503, and beyond that they are closed without an answer.
        head_bytes: Request line and header fields, in all; trailers likewise.
        head_fields: Header fields in a request.
        head_seconds: From the first byte (or the connection's begin) to the whole head.
        idle_seconds: How long a connection may rest between two requests.
        stall_seconds: How long a caller may leave written bytes unread.
        linger_seconds: How long a refused caller may go on sending before it is cut.
        pipelined: Requests that may wait behind the one being answered; further ones are not read yet.
        buffer_bytes: Body bytes that wait for the app before we stop reading.
        body_bytes: Of all bodies larger than `buffer_bytes` whose apps are running; beyond that, only the oldest
            incomplete one is read. An app may keep several copies of a body, so this is a third or less of the memory.
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
    """A request's body, as far as its memory is concerned."""

    received: bool
    """Whether all of it has arrived."""


class ListenerConnection(Protocol):
    """A connection, as far as its end is concerned."""

    def drain(self) -> None:
        """Accept no further request; close once the running one is answered."""

    def kill(self) -> None:
        """End at once, so that the caller sees a cut."""

    def regulate(self) -> None:
        """Check again whether to read on."""


class Listener:
    """One listener's app, limits, connections and running apps."""

    __slots__ = ("_large_bodies", "_room", "_waiters", "app", "connections", "limits", "tasks")

    def __init__(self, app: ASGIApp, limits: ServerLimits) -> None:
        self.app = app
        self.limits = limits
        self.connections: set[ListenerConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._large_bodies: dict[RequestBody, int] = {}  # the bodies that are larger than a buffer, oldest first
        self._room = limits.body_bytes

    async def quiet(self) -> None:
        """Wait until no connection and no running app is left."""
        while self.connections or self.tasks:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def joined(self, connection: ListenerConnection) -> None:
        """Add a connection."""
        self.connections.add(connection)

    def left(self, connection: ListenerConnection) -> None:
        """Remove a connection."""
        self.connections.discard(connection)
        self._notify()

    def started(self, task: asyncio.Task[None]) -> None:
        """Add a running app."""
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def count_body(self, body: RequestBody, size: int) -> None:
        """Count a body that has become larger than a buffer, or has grown since."""
        self._room += self._large_bodies.get(body, 0) - size
        self._large_bodies[body] = size

    def may_grow(self, body: RequestBody) -> bool:
        """Return whether to read on: there is room, or this is the oldest incomplete body."""
        return self._room > 0 or body is next((each for each in self._large_bodies if not each.received), body)

    def settled(self, body: RequestBody, *, gone: bool) -> None:
        """Record that a body has been received, or is `gone` from memory; others may have been waiting for that."""
        if body not in self._large_bodies:
            return
        if gone:
            self._room += self._large_bodies.pop(body)
        for connection in tuple(self.connections):
            connection.regulate()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._notify()

    def _notify(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
