"""The command as a process: it has the terminal, it gets our signals, and its exit status becomes ours."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from agenttype_cli.errors import Missing

_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
_FROM_TERMINAL: Final = {signal.SIGINT, signal.SIGQUIT}
_GRACE_SECONDS: Final = 10.0
_SIGNALLED: Final = 128


class Child:
    """A running command."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it.

        Raises:
            Missing: there is no such program, or it cannot be run.
        """
        try:
            self._process = subprocess.Popen(command, env=dict(environment))  # noqa: S603 — what the user asked for
        except (FileNotFoundError, PermissionError) as error:
            raise Missing(f"{command[0]}: {error.strerror}") from error

    def wait(self) -> int:
        """Wait for its end, passing on our signals; return its exit status, 128 + n where signal n ended it."""
        with self._forwarding():
            status = self._process.wait()
        return status if status >= 0 else _SIGNALLED - status

    def stop(self) -> None:
        """Tell it to end, and end it if it does not; returns at once."""
        if self._process.poll() is None:
            self._process.terminate()
            killer = threading.Timer(_GRACE_SECONDS, self._process.kill)
            killer.daemon = True
            killer.start()

    @contextmanager
    def _forwarding(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._forward) for number in _FORWARDED}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        del frame
        # What is typed at a terminal reaches the command by itself; a second one would be taken for impatience.
        if number in _FROM_TERMINAL and sys.stdin.isatty() and os.getpgrp() == os.tcgetpgrp(sys.stdin.fileno()):
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
