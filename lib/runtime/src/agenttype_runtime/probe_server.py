"""A server for what the kubelet and Prometheus ask: /healthz, /readyz and /metrics.

For programs that have no data path of their own. It needs the extra `probes` of this package.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web


async def serve(port: int, metrics: Callable[[], bytes], ready: Callable[[], bool]) -> web.AppRunner:
    """Serve until the runner's `cleanup` is awaited.

    /healthz tells that the event loop turns and no more: restarting does not mend an API server.

    Args:
        port: where; 0 takes a free one.
        metrics: returns what /metrics answers, in Prometheus' text format.
        ready: whether this replica may be counted on, standing by included.
    """

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=metrics(), headers={"content-type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", _check(lambda: True))
    app.router.add_get("/readyz", _check(ready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _check(holds: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if holds() else web.Response(status=503, text="not ok\n")

    return answer
