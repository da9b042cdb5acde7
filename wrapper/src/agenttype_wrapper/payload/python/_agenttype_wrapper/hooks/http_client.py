"""Marks calls made through `http.client`: urllib, requests and urllib3, botocore and what is built on them.

Hooked where the header block ends, which every one of them passes, so no version of theirs matters.
"""
# ruff: noqa: TID252 — the package has its absolute name only beside an agent

from . import patch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from ..calls import Calls


def install(module: "ModuleType", calls: "Calls") -> None:
    """Patch `HTTPConnection.endheaders`."""

    def build(original: "Any") -> "Any":
        def endheaders(self: "Any", *args: "Any", **kwargs: "Any") -> "Any":
            calls.attempt("http_client", _mark, self, calls)
            return original(self, *args, **kwargs)

        return endheaders

    patch.replace(module.HTTPConnection, "endheaders", build)


def _mark(connection: "Any", calls: "Calls") -> None:
    if not calls.sidecar.listens_at(connection.host, connection.port):
        return
    if connection._tunnel_host:  # noqa: SLF001 — the connection goes through it to another host
        return
    request_line, *lines = connection._buffer  # noqa: SLF001 — the only place where set headers can be seen
    if not request_line.split(b" ")[1].startswith(b"/"):  # asked to act as a proxy: the call is for another
        return
    present = {line.partition(b":")[0].decode("latin-1").lower() for line in lines}
    for name, value in calls.headers(present).items():
        connection.putheader(name, value)
