"""The command as a process: it has the terminal, it gets our signals, and its exit status becomes ours."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

from agenttype_cli.errors import Missing

_FORWARDED: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT)
_FROM_TERMINAL: Final = {signal.SIGINT, signal.SIGQUIT}
_GRACE_SECONDS: Final = 10.0
_PAUSE: Final = 0.5
_SIGNALLED: Final = 128


class Command:
    """A command, run once."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def run(self) -> int:
        """Run it to its end, passing on our signals; return its exit status, 128 + n where signal n ended it.

        Raises:
            Missing: there is no such program, or it cannot be run.
        """
        with self._forwarding():
            try:
                process = subprocess.Popen(self._command, env=dict(self._environment))  # noqa: S603 — the user's own
            except OSError as error:
                raise Missing(f"{self._command[0]}: {error.strerror}{_fix(error)}") from error
            self._process = process
            for number in self._early:
                self._send(number)
            status = _ended(process)
        return status if status >= 0 else _SIGNALLED - status

    def stop(self) -> None:
        """Tell it to end, and end it if it does not; returns at once."""
        self._send(signal.SIGTERM)
        if self._process is not None:
            killer = threading.Timer(_GRACE_SECONDS, self._process.kill)
            killer.daemon = True
            killer.start()

    def _send(self, number: int) -> None:
        """Send a signal, as soon as there is a process to send it to."""
        if self._process is None:
            self._early.append(number)
        elif self._process.poll() is None:
            self._process.send_signal(number)

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
        if number not in _FROM_TERMINAL or not _has_the_terminal():
            self._send(number)


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end of a process; return its status.

    Another thread does the waiting: a signal that comes just before a wait without an end is not seen until it ends.
    """
    waiter = threading.Thread(target=process.wait, name="wait", daemon=True)
    waiter.start()
    while waiter.is_alive():
        waiter.join(_PAUSE)
    return process.returncode


def _has_the_terminal() -> bool:
    """Return whether what is typed is meant for us and the command, wherever our input comes from."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:  # there is none
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # it has gone
        return False
    finally:
        os.close(terminal)


def _fix(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return "; call it through its interpreter, or name that in its first line (#!)"
    return ""
