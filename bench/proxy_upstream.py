"""The cheapest upstream that Python can be: answers of prepared bytes, to be measured through, not to be measured.

`python bench/proxy_upstream.py` prints its port. `/json` answers 1 KB at once, `/burst` 51 events at once, and
`/paced` 100 events, one each 5 ms, each saying when it was sent (nanoseconds of CLOCK_MONOTONIC).
"""

import asyncio
import time

from agenttype_proxy import loop

EVENTS = 51
PACED_EVENTS = 100
PACE_SECONDS = 0.005
BODY = b'{"id":"cmpl-1","choices":[{"message":{"role":"assistant","content":"%b"}}],"usage":{"total_tokens":9}}' % (
    b"word " * 185
)
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"id":"cmpl-1","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return ``data`` as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


BURST = STREAM + chunk(EVENT) * EVENTS + END


class Upstream(asyncio.Protocol):
    """One connection; trusts that requests are whole, one after another, with a content-length if any body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start with nothing."""
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self.rest += data
        head, found, body = self.rest.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        size = int(lower[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0
        if len(body) < size:
            return
        self.rest = body[size:]
        path = head.split(b" ", 2)[1]
        if path == b"/paced":
            self.pacing = asyncio.get_running_loop().create_task(self.pace())
        else:
            self.transport.write(BURST if path == b"/burst" else JSON)

    async def pace(self) -> None:
        """Stream events on a schedule of its own."""
        self.transport.write(STREAM)
        for _ in range(PACED_EVENTS):
            await asyncio.sleep(PACE_SECONDS)
            self.transport.write(chunk(b"data: %d\n\n" % time.monotonic_ns()))
        self.transport.write(END)


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    loop.run(main())
