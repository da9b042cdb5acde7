"""Marks calls made through aiohttp; a request object is made per hop, so redirects take no header of ours along."""
# ruff: noqa: TID252 — the package has its absolute name only beside an agent

from . import patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..calls import Calls


def install(module: "ModuleType", calls: "Calls") -> None:
    """Patch `ClientRequest.send`."""

    def build(original: "Any") -> "Any":
        async def send(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            calls.attempt("aiohttp_request", _mark, self, calls)
            return await original(self, *args, **kwargs)

        return send

    patch.replace(module.ClientRequest, "send", build)


def _mark(request: "Any", calls: "Calls") -> None:
    if request.proxy is None and calls.sidecar.listens_at(request.url.host, request.url.port):
        present = {name.lower() for name in request.headers}
        request.headers.update(calls.headers(present))
