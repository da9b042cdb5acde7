"""Runs several listeners in one process, and drains them at the end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agenttype_runtime import open_files

from agenttype_proxy.asgi import ASGIApp
from agenttype_proxy.inbound import Inbound
from agenttype_proxy.listener import Listener, ServerLimits

__all__ = ["ServedApp", "ServerLimits", "serve"]


@dataclass(frozen=True)
class ServedApp:
    """An app and where it listens; port 0 picks a free one."""

    app: ASGIApp
    host: str
    port: int


async def serve(
    apps: Sequence[ServedApp],
    *,
    limits: ServerLimits,
    stop: asyncio.Event,
    drain_seconds: float,
    on_ready: Callable[[list[int]], None],
) -> None:
    """Serve until ``stop`` is set, then drain: no new connection, live responses finish, the rest is cut.

    Speaks HTTP/1.1 to plain ASGI apps; there is no ``lifespan`` and no WebSocket. Limits apply per listener, so that a
    flood on one does not stop the others; if the process may open only few files, each gets fewer connections.
    ``on_ready`` gets the ports, in the listeners' order.

    Raises:
        OSError: A listener cannot be opened; those opened before are closed again.
    """
    loop = asyncio.get_running_loop()
    # Every served caller needs an upstream connection too, and as many callers again get an answer that there is no
    # room.
    limits = replace(limits, connections=min(limits.connections, open_files.limit() // 4))
    listeners: list[Listener] = []
    servers: list[asyncio.Server] = []
    try:
        for served in apps:
            listener = Listener(served.app, limits)
            listeners.append(listener)
            backlog = 2 * limits.connections  # as many as get an answer
            factory = _factory(listener, loop)
            servers.append(await loop.create_server(factory, served.host, served.port, backlog=backlog))
        on_ready([server.sockets[0].getsockname()[1] for server in servers])
        await stop.wait()
        _close(servers)
        await _drained(listeners, drain_seconds)
    finally:
        _close(servers)
        await _cut(listeners)


def _factory(listener: Listener, loop: asyncio.AbstractEventLoop) -> Callable[[], Inbound]:
    return lambda: Inbound(listener, loop)


def _close(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()


async def _drained(listeners: list[Listener], seconds: float) -> None:
    for listener in listeners:
        for connection in tuple(listener.connections):
            connection.drain()
    try:
        async with asyncio.timeout(seconds):
            for listener in listeners:
                await listener.quiet()
    except TimeoutError:
        pass  # the rest is cut


async def _cut(listeners: list[Listener]) -> None:
    for listener in listeners:
        for connection in tuple(listener.connections):
            connection.kill()
        for task in tuple(listener.tasks):
            task.cancel()
    for listener in listeners:
        await listener.quiet()
