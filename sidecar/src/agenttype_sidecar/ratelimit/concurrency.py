"""Limits how many calls run at once; the others wait in order, for a limited time, in a queue of limited length."""

import asyncio
from collections import deque
from typing import Final

#: Calls that wait at most; further calls are refused at once.
MAX_WAITING: Final = 256


class ConcurrencyLimit:
    """Counts the running calls; used from one event loop."""

    def __init__(self) -> None:
        self.inside = 0
        self._limit: int | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    def resize(self, limit: int | None) -> None:
        """Change the limit, None for none; running calls go on."""
        if limit != self._limit:
            self._limit = limit
            self._admit()

    def enter_now(self) -> bool:
        """Take a place if one is free and no call waits; return whether it was given. The caller must then `leave`."""
        if self._waiting or not self._has_room:
            return False
        self.inside += 1
        return True

    async def enter(self, seconds: float) -> bool:
        """Wait for a place at most `seconds`; return whether it was given. The caller must then `leave`."""
        if self.enter_now():
            return True
        if len(self._waiting) >= MAX_WAITING:
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
        """Free a place for the next call."""
        self.inside -= 1
        self._admit()

    @property
    def _has_room(self) -> bool:
        return self._limit is None or self.inside < self._limit

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif not turn.cancelled():  # it got its place at the moment it gave up
            self.leave()

    def _admit(self) -> None:
        while self._waiting and self._has_room:
            turn = self._waiting.popleft()
            if not turn.done():  # else it has just given up
                self.inside += 1
                turn.set_result(None)
