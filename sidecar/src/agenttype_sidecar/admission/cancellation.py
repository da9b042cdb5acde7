"""All running calls of the agent, so that they can be ended at once."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agenttype_sidecar.errors import Refusal


class Cancellable:
    """Ends the block it wraps when `cut` is called, and raises the reason instead.

    Whatever the block awaits, usually an upstream, is cancelled within one turn of the loop.
    """

    __slots__ = ("_before", "_cancellation", "_reason", "_task")

    def __init__(self, cancellation: "Cancellation") -> None:
        self._cancellation = cancellation
        self._reason: Refusal | None = None

    def cut(self, reason: Refusal) -> None:
        """End the block with `reason`; the first reason counts. A block that calls `cut` itself is not ended by it."""
        if self._reason is None and self._task is not asyncio.current_task():
            self._reason = reason
            self._task.cancel()

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be cut")
        self._task = task
        self._before = task.cancelling()
        self._cancellation.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._cancellation.leave(self)
        if self._reason is not None and self._task.uncancel() <= self._before and kind is asyncio.CancelledError:
            raise self._reason from error


class Cancellation:
    """Calls to models and tools that can be cut; each wraps its work in `with cancellation.cancellable():`."""

    def __init__(self) -> None:
        self._active: set[Cancellable] = set()

    def cancellable(self) -> Cancellable:
        """Return the context manager that `Cancellable` describes."""
        return Cancellable(self)

    def enter(self, one: Cancellable) -> None:
        """Add a running call."""
        self._active.add(one)

    def leave(self, one: Cancellable) -> None:
        """Remove a call."""
        self._active.discard(one)

    def cut(self, reason: Callable[[], Refusal]) -> int:
        """End all running calls, each with its own reason object; return how many there were."""
        running = list(self._active)
        for one in running:
            one.cut(reason())
        return len(running)
