"""Answers that are kept for a while."""

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class TimedCache(Generic[T]):
    """Keeps each answer for some seconds, and drops the oldest when there are too many."""

    def __init__(self, seconds: float, size: int) -> None:
        self._seconds = seconds
        self._size = size
        self._answers: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, key: bytes, now: float) -> T | None:
        """Return the answer, None where none is kept."""
        found = self._answers.get(key)
        return found[1] if found is not None and now < found[0] else None

    def put(self, key: bytes, answer: T, now: float) -> None:
        """Keep an answer from now on."""
        self._answers[key] = (now + self._seconds, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > self._size:
            self._answers.popitem(last=False)
