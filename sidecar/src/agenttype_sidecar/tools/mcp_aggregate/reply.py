"""The aggregate endpoint's answer to one request: JSON, or a stream if something comes before the answer."""

from typing import Any, Final

from agenttype_proxy import asgi
from agenttype_proxy import headers as fields
from agenttype_proxy.messages import Headers

from agenttype_sidecar.tools import refusals
from agenttype_sidecar.tools.mcp import envelopes

_STREAM: Final = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache, no-transform")]
_ALIVE: Final = b": \n\n"


class Reply:
    """The one answer to one request."""

    def __init__(self, incoming: Headers, send: asgi.Send) -> None:
        self._send = send
        accepted = b",".join(fields.every(incoming, b"accept")).lower()
        self._streams = not accepted or b"text/event-stream" in accepted or b"*/*" in accepted
        self._begun = False

    async def before(self, message: dict[str, Any] | None) -> None:
        """Pass on a message that comes before the answer; None: only a sign that the server is working."""
        if not self._streams:
            return
        if not self._begun:
            self._begun = True
            await asgi.start(self._send, 200, list(_STREAM))
        data = _ALIVE if message is None else envelopes.event(envelopes.dumped(message))
        await asgi.write(self._send, data)

    async def end(self, message: bytes, status: int = 200, headers: Headers | None = None) -> None:
        """Send the answer."""
        if self._begun:
            await asgi.write(self._send, envelopes.event(message))
            await asgi.finish(self._send)
        else:
            await asgi.respond(self._send, status, [refusals.JSON, *(headers or [])], message)
