"""One HTTP exchange over ASGI: read the body, send JSON, text or events, and notice that the caller left."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import orjson

from agenttype_simulator.faults import Arrival, Fault

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Exchange:
    """A request and the one reply to it."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        self.arrival = Arrival(self.method, self.path, self.headers)
        self.fault: Fault | None = None
        self._reset: Callable[[], None] = scope["extensions"]["simulator.reset"]
        self._receive = receive
        self._send = send
        self._sent = 0

    async def read(self) -> bytes:
        """The whole body."""
        parts = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(parts)

    async def json(self, content: Any, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> None:
        """Reply with JSON."""
        await self.reply(orjson.dumps(content), status, {"content-type": "application/json"} | (headers or {}))

    async def reply(self, body: bytes, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None) -> None:
        """Reply with these bytes; no content type is sent unless given."""
        await self._start(status, {"content-length": str(len(body))} | (headers or {}))
        await self._body(body, more=False)

    async def events(self, frames: AsyncGenerator[bytes, None]) -> None:
        """Reply with server-sent events, each frame as soon as it is there."""
        await self._start(HTTPStatus.OK, {"content-type": "text/event-stream; charset=utf-8"})
        async with aclosing(frames):
            async for frame in frames:
                await self._body(frame, more=True)
        await self._body(b"", more=False)

    async def unless_left(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` until it ends or the caller hangs up, whichever is first."""
        task = asyncio.create_task(work)
        left = asyncio.create_task(self.left())
        try:
            await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self.arrival.outcome = "aborted"
                task.cancel()
                await asyncio.wait({task})
        finally:
            task.cancel()
            left.cancel()
        if not task.cancelled():
            task.result()

    async def left(self) -> None:
        """Return when the caller hung up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        if self.fault is not None and self.fault.passes() == 0:
            await self._break_off(self.fault)
        self.arrival.status = int(status)
        raw = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
        await self._send({"type": "http.response.start", "status": int(status), "headers": raw})

    async def _body(self, data: bytes, *, more: bool) -> None:
        limit = self.fault.passes() if self.fault is not None else None
        if self.fault is not None and limit is not None and self._sent + len(data) >= limit:
            head = data[: limit - self._sent]
            await self._send({"type": "http.response.body", "body": head, "more_body": True})
            await self._break_off(self.fault)
        self._sent += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    async def _break_off(self, fault: Fault) -> None:
        """Reset the connection or keep it silent until the caller leaves; never returns."""
        if fault.reset_after_bytes is not None:
            self._reset()
        await asyncio.Event().wait()
