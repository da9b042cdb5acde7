"""Small helpers for bare ASGI apps: read a body, answer, stream, detect that the caller has left."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any, Self

from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone
from agenttype_proxy.messages import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

CUT = "agenttype.cut"
"""The scope extension by which our server ends a connection without ending the response."""


async def read_body(receive: Receive, *, limit: int, timeout: float) -> bytes:  # noqa: ASYNC109 — part of the rule
    """Return the whole request body: at most ``limit`` bytes, within ``timeout`` seconds.

    Raises:
        BodyTooLarge: There is more.
        BodyTimeout: It did not arrive in time.
        CallerGone: The caller hung up first.
    """
    whole = getattr(receive, "whole", None)  # our own server knows this without waiting, so no timer is needed
    if whole is not None and (here := whole()) is not None:
        _check(limit, len(here))
        return bytes(here)
    try:
        async with asyncio.timeout(timeout):
            parts, size = [], 0
            while (message := await receive())["type"] == "http.request":
                body: bytes = message.get("body", b"")
                size += len(body)
                _check(limit, size)
                parts.append(body)
                if not message.get("more_body", False):
                    return body if len(parts) == 1 else b"".join(parts)
    except TimeoutError as error:
        raise BodyTimeout(f"the request body did not arrive within {timeout:g} s") from error
    raise CallerGone("the caller hung up while sending its body")


def _check(limit: int, size: int) -> None:
    if size > limit:
        raise BodyTooLarge(f"the request body is larger than {limit} bytes")


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole response; ``content-length`` is added."""
    await start(send, status, [*headers, (b"content-length", b"%d" % len(body))])
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def start(send: Send, status: int, headers: Headers) -> None:
    """Send a response head; without a ``content-length`` the body goes out chunked."""
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def write(send: Send, chunk: bytes) -> None:
    """Send body bytes; wait while the caller reads slowly."""
    await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def finish(send: Send) -> None:
    """End the response."""
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def abort(scope: Scope) -> None:
    """End the caller's connection so that the caller sees a cut, not a clean end.

    What was written before still arrives. Does nothing if the response is already complete.

    Raises:
        RuntimeError: The app runs on a server that cannot do this.
    """
    cut = scope.get("extensions", {}).get(CUT)
    if cut is None:
        raise RuntimeError("this server cannot cut a connection; run the app with agenttype_proxy.server.serve")
    cut()


def watch_disconnect(receive: Receive) -> "asyncio.Future[None]":
    """Return a future that completes when the caller goes away; call it once the body has been read.

    On our own server it costs a future, elsewhere a task that consumes messages. It means nothing once the response is
    finished: cancel it then.
    """
    gone = getattr(receive, "gone", None)
    if gone is not None:
        future: asyncio.Future[None] = gone()
        return future
    return asyncio.ensure_future(_disconnected(receive))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class CancelOnDisconnect:
    """Cancels the block it wraps when the caller goes away, and raises ``CallerGone`` instead.

    It works like ``asyncio.timeout``, for a caller that has left instead of a deadline: whatever the block awaits,
    usually an upstream, is cancelled within one turn of the loop.
    """

    __slots__ = ("_before", "_cancelled", "_future", "_over", "_receive", "_task")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._cancelled = False
        self._over = False

    async def __aenter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("cancel_on_disconnect() needs a task")
        self._task = task
        self._before = task.cancelling()
        self._future = watch_disconnect(self._receive)
        self._future.add_done_callback(self._cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._over = True
        self._future.remove_done_callback(self._cancel)
        if not self._cancelled:
            self._future.cancel()
        elif self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise CallerGone("the caller hung up") from error

    def _cancel(self, gone: "asyncio.Future[None]") -> None:
        if self._over or gone.cancelled():  # over: the caller left in the same turn in which the block ended
            return
        self._cancelled = True
        self._task.cancel()


def cancel_on_disconnect(receive: Receive) -> CancelOnDisconnect:
    """Return the context manager that ``CancelOnDisconnect`` describes."""
    return CancelOnDisconnect(receive)
