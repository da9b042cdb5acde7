"""Several listeners in one process, and how they end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from agenttype_proxy import files
from agenttype_proxy.asgi import ASGIApp
from agenttype_proxy.inbound import Inbound
from agenttype_proxy.site import ServerLimits, Site

__all__ = ["Listener", "ServerLimits", "serve"]


@dataclass(frozen=True)
class Listener:
    """An app and where it listens; port 0 picks a free one."""

    app: ASGIApp
    host: str
    port: int


async def serve(
    listeners: Sequence[Listener],
    *,
    limits: ServerLimits,
    stop: asyncio.Event,
    drain_seconds: float,
    on_ready: Callable[[list[int]], None],
) -> None:
    """Serve until ``stop`` is set, then drain: no new connection, live responses finish, the rest is cut.

    Speaks HTTP/1.1 to plain ASGI apps; there is no ``lifespan`` and no WebSocket. Limits hold per listener, so
    that a flood on one leaves the others answering: where the process may open few files, each gets fewer
    connections. ``on_ready`` gets the ports, in the listeners' order.

    Raises:
        OSError: A listener cannot be opened; those opened before are closed again.
    """
    loop = asyncio.get_running_loop()
    # A caller that is served is another connection upstream, and as many callers again are told that there is no room.
    limits = replace(limits, connections=min(limits.connections, files.room() // 4))
    sites: list[Site] = []
    servers: list[asyncio.Server] = []
    try:
        for listener in listeners:
            site = Site(listener.app, limits)
            sites.append(site)
            backlog = 2 * limits.connections  # as many as are heard at all
            factory = _factory(site, loop)
            servers.append(await loop.create_server(factory, listener.host, listener.port, backlog=backlog))
        on_ready([server.sockets[0].getsockname()[1] for server in servers])
        await stop.wait()
        _close(servers)
        await _drained(sites, drain_seconds)
    finally:
        _close(servers)
        await _cut(sites)


def _factory(site: Site, loop: asyncio.AbstractEventLoop) -> Callable[[], Inbound]:
    return lambda: Inbound(site, loop)


def _close(servers: list[asyncio.Server]) -> None:
    for server in servers:
        server.close()


async def _drained(sites: list[Site], seconds: float) -> None:
    for site in sites:
        for connection in tuple(site.connections):
            connection.drain()
    try:
        async with asyncio.timeout(seconds):
            for site in sites:
                await site.quiet()
    except TimeoutError:
        pass  # what is left is cut


async def _cut(sites: list[Site]) -> None:
    for site in sites:
        for connection in tuple(site.connections):
            connection.kill()
        for task in tuple(site.tasks):
            task.cancel()
    for site in sites:
        await site.quiet()
