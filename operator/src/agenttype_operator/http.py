"""What the kubelet and Prometheus ask the operator."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from agenttype_operator.metrics import Metrics


async def serve(port: int, metrics: Metrics, ready: Callable[[], bool]) -> web.AppRunner:
    """Serve /metrics, /healthz and /readyz.

    /healthz tells that the event loop turns and no more: restarting does not mend an API server.

    Args:
        port: where; 0 takes a free one.
        metrics: what /metrics tells.
        ready: whether this replica may be counted on, standing by included.
    """

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"content-type": "text/plain; version=0.0.4"})

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
