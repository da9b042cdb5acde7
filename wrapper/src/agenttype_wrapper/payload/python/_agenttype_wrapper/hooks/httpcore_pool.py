"""Marks calls made through httpcore and httpcore2, which carry httpx, httpx2 and most SDKs.

The request that reaches the pool is made for one hop, so a redirect to another host takes no header of ours along.
"""
# ruff: noqa: TID252 — the package has its absolute name only beside an agent

from .. import sidecar
from . import patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..calls import Calls


def install(module: "ModuleType", calls: "Calls") -> None:
    """Patch the pools' `handle_request` and `handle_async_request`."""

    def build(original: "Any") -> "Any":
        def handle_request(self: "Any", request: "Any") -> "Any":
            calls.attempt("httpcore_pool", _mark, self, request, calls)
            return original(self, request)

        return handle_request

    def build_async(original: "Any") -> "Any":
        async def handle_async_request(self: "Any", request: "Any") -> "Any":
            calls.attempt("httpcore_pool", _mark, self, request, calls)
            return await original(self, request)

        return handle_async_request

    patch.replace(module.ConnectionPool, "handle_request", build)
    patch.replace(module.AsyncConnectionPool, "handle_async_request", build_async)


def _mark(pool: "Any", request: "Any", calls: "Calls") -> None:
    url = request.url
    port = url.port or sidecar.default_port(url.scheme.decode("ascii"))
    if not calls.sidecar.listens_at(url.host.decode("ascii"), port) or _is_indirect(pool):
        return
    present = {name.decode("latin-1").lower() for name, _ in request.headers}
    ours = [(name.encode("ascii"), value.encode("ascii")) for name, value in calls.headers(present).items()]
    request.headers = [*request.headers, *ours]


def _is_indirect(pool: "Any") -> bool:
    """Say whether bytes go to a proxy or a Unix socket, whatever host the URL names."""
    return (
        "Proxy" in type(pool).__name__
        or getattr(pool, "_proxy", None) is not None
        or getattr(pool, "_uds", None) is not None
    )
