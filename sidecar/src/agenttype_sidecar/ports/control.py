"""The control port: it answers metrics itself, everything else by the control API, which is loaded at first use.

The API's framework takes longer to import than the rest of the sidecar takes to start.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from agenttype_proxy import asgi

from agenttype_sidecar.telemetry.metrics import CONTENT_TYPE, Metrics

_HEADERS: Final = [(b"content-type", CONTENT_TYPE)]


class ControlPort:
    """The ASGI app of the control port."""

    def __init__(self, metrics: Metrics, api: Callable[[], asgi.ASGIApp]) -> None:
        """Answer `/metrics`; build the control API with `api` at the first request for anything else."""
        self._metrics = metrics
        self._build = api
        self._api: asgi.ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        """Answer one HTTP exchange."""
        if scope["path"] == "/metrics":
            await asgi.respond(send, 200, list(_HEADERS), self._metrics.text())
            return
        async with self._building:
            if self._api is None:
                # In a thread, so that the agent's calls do not wait for an import.
                self._api = await asyncio.to_thread(self._build)
        await self._api(scope, receive, send)
