"""The workqueue: which key is reconciled next. Pure, the clock is an argument.

A key either waits or is with a worker, never both. A key that is added while a worker has it is handed out once more
afterwards; a key that failed waits, each time twice as long, up to a minute.
"""

import heapq
from collections.abc import Callable
from typing import Final

from agenttype_operator.kube.kinds import Key

FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 60.0


class WorkQueue:
    """Due times of keys; times in seconds of any monotonic clock.

    Args:
        jitter: returns a factor near 1 by which each delay is stretched, so that failures are not tried again in step.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0
        self._taken: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}

    def __len__(self) -> int:
        """Keys that wait, due or not."""
        return len(self._due)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is worked on."""
        return not self._due and not self._taken

    def add(self, key: Key, at: float) -> None:
        """Let a key be due at a time, or keep its earlier one; news may have cured it, so delays start small again."""
        self._failures.pop(key, None)
        self._put(key, at)

    def _put(self, key: Key, at: float) -> None:
        if key in self._taken:
            self._again.add(key)
        elif key not in self._due or at < self._due[key]:
            self._due[key] = at
            self._order += 1
            heapq.heappush(self._heap, (at, self._order, key))

    def take(self, now: float) -> Key | None:
        """Hand out the key that has been due for longest; None when no key is due."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self._taken.add(key)
                return key
        return None

    def done(self, key: Key, now: float) -> None:
        """Give a key back: all is well."""
        self._failures.pop(key, None)
        self._give_back(key, now)

    def retry(self, key: Key, now: float) -> float:
        """Give a key back to be tried again later; return the delay."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures, 32)) * self._jitter()
        self._give_back(key, now)
        self._put(key, now + delay)
        return delay

    def next_due(self) -> float | None:
        """When the next key is due; None when nothing waits."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _give_back(self, key: Key, now: float) -> None:
        self._taken.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._put(key, now)
