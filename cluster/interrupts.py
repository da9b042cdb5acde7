"""Make SIGINT and SIGTERM an ordinary error, so that everything on the way is undone."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, NoReturn

from cluster.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Raise StoppedError in the body where a signal arrives."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise StoppedError(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, interrupt) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Let nothing stop the body: undoing must not be undone."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
