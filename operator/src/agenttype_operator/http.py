"""What the kubelet and Prometheus ask the operator."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from agenttype_operator.metrics import Metrics


async def serve(port: int, metrics: Metrics, alive: Callable[[], bool], ready: Callable[[], bool]) -> web.AppRunner:
    """Serve /metrics, /healthz (the process works) and /readyz (its picture of the cluster is whole).

    Args:
        port: where; 0 takes a free one.
        metrics: what /metrics tells.
        alive: whether this process should live on.
        ready: whether it may be counted on, standby included.
    """

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"content-type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", _check(alive))
    app.router.add_get("/readyz", _check(ready))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


def _check(holds: Callable[[], bool]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if holds() else web.Response(status=503, text="not ok\n")

    return answer
