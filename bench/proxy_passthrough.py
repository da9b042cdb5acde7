"""The least that a proxy on this room does: read, send on, stream back, leave when the caller leaves.

`python bench/proxy_passthrough.py http://127.0.0.1:PORT [OWN_PORT]` prints its own port.
"""

import asyncio
import sys

from agenttype_proxy import asgi, headers, loop
from agenttype_proxy.client import Client
from agenttype_proxy.messages import Deadlines, Origin, Request
from agenttype_proxy.server import ServedApp, ServerLimits, serve

DEADLINES = Deadlines(connect=2, first_byte=60, idle=60, total=None)


def passthrough(client: Client, origin: Origin) -> asgi.ASGIApp:
    """Return the app."""

    async def app(scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        body = await asgi.read_body(receive, limit=4_194_304, timeout=30)
        method, fields = scope["method"].encode(), headers.forwardable(scope["headers"])
        request = Request(method, origin.target(scope["raw_path"]), fields, body)
        async with asgi.cancel_on_disconnect(receive), await client.send(origin, request, DEADLINES) as response:
            await asgi.start(send, response.status, headers.forwardable(response.headers))
            async for chunk in response.chunks():
                await asgi.write(send, chunk)
            await asgi.finish(send)

    return app


async def main() -> None:
    """Serve until killed."""
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0  # noqa: PLR2004 — the second argument
    listener = ServedApp(passthrough(Client(), Origin.parse(sys.argv[1])), "127.0.0.1", port)
    await serve(
        [listener],
        limits=ServerLimits(),
        stop=asyncio.Event(),
        drain_seconds=0,
        on_ready=lambda ports: print(ports[0], flush=True),
    )


if __name__ == "__main__":
    loop.run(main())
