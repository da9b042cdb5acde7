"""How many calls may run at once; the others wait in the order they came, not for ever and not without number."""

import asyncio
from collections import deque
from typing import Final

#: Calls that wait at most; who comes after them is refused at once.
QUEUE: Final = 256


class ConcurrencyLimit:
    """Counts who is inside; used from one event loop."""

    def __init__(self) -> None:
        self.inside = 0
        self._limit: int | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    def resize(self, limit: int | None) -> None:
        """Take another limit, None for none; those who are inside stay."""
        if limit != self._limit:
            self._limit = limit
            self._admit()

    def enter_now(self) -> bool:
        """Take a place if there is one and nobody waits; return whether it was given. Who got one must `leave`."""
        if self._waiting or not self._has_room:
            return False
        self.inside += 1
        return True

    async def enter(self, seconds: float) -> bool:
        """Wait for a place at most so long; return whether it was given. Who got one must `leave`."""
        if self.enter_now():
            return True
        if len(self._waiting) >= QUEUE:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Make room for the next."""
        self.inside -= 1
        self._admit()

    @property
    def _has_room(self) -> bool:
        return self._limit is None or self.inside < self._limit

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif not turn.cancelled():  # its turn came in the very moment in which it left
            self.leave()

    def _admit(self) -> None:
        while self._waiting and self._has_room:
            turn = self._waiting.popleft()
            if not turn.done():  # else it has just given up
                self.inside += 1
                turn.set_result(None)
