"""The controller's loop: workers take due keys from the queue and reconcile them, one at a time per key."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from agenttype_runtime.json_log import Log

from agenttype_operator.kube import errors
from agenttype_operator.kube.kinds import Key
from agenttype_operator.metrics import Metrics
from agenttype_operator.queue.workqueue import WorkQueue

log = Log("controller")


class Result(Enum):
    """What a reconcile asks for."""

    DONE = auto()
    """Nothing to do until something changes."""
    REQUEUE = auto()
    """Something is on its way that no event will tell: reconcile again, ever more rarely."""


class Controller:
    """Runs reconciles for keys that are added.

    Args:
        queue: decides the order.
        reconcile: brings one object to what its spec says.
        metrics: where time and failures are counted.
        count: how many run at once.
    """

    def __init__(
        self, queue: WorkQueue, reconcile: Callable[[Key], Awaitable[Result]], metrics: Metrics, count: int
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._metrics = metrics
        self._count = count
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Let a key be reconciled, now or after a delay in seconds."""
        self._queue.add(key, self._clock() + delay)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what was begun is then finished, for at most the time that one request may take."""
        slots = asyncio.Semaphore(self._count)
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                await slots.acquire()
                key = await self._next()
                task = asyncio.create_task(self._work(key, slots))
                running.add(task)
                task.add_done_callback(running.discard)
        finally:
            if running:
                await asyncio.wait(running, timeout=5.0)
            for task in running:
                task.cancel()

    async def _next(self) -> Key:
        while True:
            self._metrics.queue_depth.set(len(self._queue))
            self._wake.clear()
            if key := self._queue.take(self._clock()):
                return key
            due = self._queue.next_due()
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _work(self, key: Key, slots: asyncio.Semaphore) -> None:
        result = Result.REQUEUE
        try:
            with self._metrics.reconcile_seconds.labels(kind=key.kind).time():
                result = await self._reconcile(key)
        except errors.OperatorError as error:
            self._metrics.reconcile_errors.labels(reason=type(error).__name__).inc()
            log.warning("reconcile failed", object="/".join(key), error=str(error))
        except Exception:
            self._metrics.reconcile_errors.labels(reason="Unexpected").inc()
            log.exception("reconcile failed unexpectedly", object="/".join(key))
        finally:
            slots.release()
            if result is Result.DONE:
                self._queue.done(key, self._clock())
            else:
                self._queue.retry(key, self._clock())
            self._wake.set()
