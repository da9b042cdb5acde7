"""A fair share of the engine for each agent.

Up to `slots` calls run at once. While there is room everybody runs; once calls wait, each place that becomes free goes
to the agent with the fewest calls running. So one agent can have the whole engine while nobody else wants it, and no
more than its share soon after others do.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairQueue:
    """Who runs and who waits; one per process and event loop."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def slot(self, who: str) -> AsyncIterator[None]:
        """Hold one place for `who`; waits while there is none."""
        await self._acquire(who)
        try:
            yield
        finally:
            self._release(who)

    async def _acquire(self, who: str) -> None:
        if self._free:
            self._free -= 1
            self._running[who] += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # granted and cancelled in one breath
                self._release(who)
            raise

    def _release(self, who: str) -> None:
        self._running[who] -= 1
        if not self._running[who]:
            del self._running[who]
        if not self._grant():
            self._free += 1

    def _grant(self) -> bool:
        while self._waiting:
            who = min(self._waiting, key=lambda name: self._running[name])
            queue = self._waiting.pop(who)
            place = queue.popleft()
            if queue:
                self._waiting[who] = queue  # behind its equals
            if not place.done():
                self._running[who] += 1
                place.set_result(None)
                return True
        return False
