"""Signals that end this command: they unwind it, so that whatever it has started is ended too."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALLED: Final = 128


class Ended(BaseException):
    """A signal asks us to end; no error, and nothing that `except Exception` should stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = _SIGNALLED + number
        """Exit status as shells tell it."""


class Signals:
    """Lets signals raise `Ended` in the main thread, but not between a start and the note of what was started."""

    def __init__(self) -> None:
        self._holding = False
        self._pending: int | None = None
        for number in _ENDING:
            signal.signal(number, self._arrived)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep signals back until the block is left."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._pending is not None:
            raise Ended(self._pending)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._holding:
            raise Ended(number)
        self._pending = number
