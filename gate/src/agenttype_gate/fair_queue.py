"""Gives each agent a fair share of the engine.

Up to `slots` calls run at once. While there is room, every call runs. Once calls wait, each free place goes to the
agent with the fewest running calls. So one agent can use the whole engine while no other agent needs it, and soon after
others do, it has no more than its share.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairQueue:
    """The running and the waiting calls of all agents; one per process and event loop."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def slot(self, agent: str) -> AsyncIterator[None]:
        """Hold one place for a call of `agent`; wait until there is one."""
        await self._acquire(agent)
        try:
            yield
        finally:
            self._release(agent)

    async def _acquire(self, agent: str) -> None:
        if self._free:
            self._free -= 1
            self._running[agent] += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(agent, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # granted and cancelled in the same turn of the loop
                self._release(agent)
            raise

    def _release(self, agent: str) -> None:
        self._running[agent] -= 1
        if not self._running[agent]:
            del self._running[agent]
        if not self._grant():
            self._free += 1

    def _grant(self) -> bool:
        while self._waiting:
            agent = min(self._waiting, key=lambda name: self._running[name])
            queue = self._waiting.pop(agent)
            place = queue.popleft()
            if queue:
                self._waiting[agent] = queue  # behind agents with as many calls
            if not place.done():
                self._running[agent] += 1
                place.set_result(None)
                return True
        return False
