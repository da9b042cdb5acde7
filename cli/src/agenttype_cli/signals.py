"""Signals that end this command: they unwind it, so that whatever it has started is ended too."""

import signal
from types import FrameType
from typing import Final, NoReturn

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(BaseException):
    """A signal asks us to end; no error, and nothing that `except Exception` should stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def status(self) -> int:
        """Exit status as shells tell it."""
        return 128 + self.number


def unwind() -> None:
    """Let the signals raise `Ended` in the main thread from now on."""
    for number in ENDING:
        signal.signal(number, _raise)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Ended(number)
