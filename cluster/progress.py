"""Say what is being done and for how long, on stderr."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from cluster.errors import BrokenError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HEARTBEAT_SECONDS = 10.0
_TERMINAL_HEARTBEAT_SECONDS = 1.0
_CLEAR = "\r\x1b[K"


class Step:
    """One piece of work; `tick` from its loop keeps the user informed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._live = sys.stderr.isatty()
        self._began = self._said = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._began

    def tick(self) -> None:
        """Show the elapsed time now and then; call it as often as you like."""
        now = time.monotonic()
        if now - self._said >= (_TERMINAL_HEARTBEAT_SECONDS if self._live else HEARTBEAT_SECONDS):
            self._said = now
            self._write("…", end="" if self._live else "\n")

    def done(self, mark: str = "✓") -> None:
        """Close the step's line."""
        self._write(mark, end="\n")

    def _write(self, mark: str, end: str) -> None:
        lead = _CLEAR if self._live else ""
        print(f"{lead}{mark} {self.text} ({self.elapsed:.1f} s)", end=end, file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str, *, trivial: bool = False) -> Iterator[Step]:
    """Show a step's heartbeat, and its end with the time it took; a trivial one is shown only where it fails."""
    current = Step(text)
    try:
        yield current
    except BaseException:
        current.done("✗")
        raise
    if not trivial:
        current.done()


def say(text: str) -> None:
    """Print one line to the user."""
    print(text, file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    *,
    shown: Step,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a long command under a step; its output goes to `log`, and its end there into the error."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=0.5)
                    break
                except subprocess.TimeoutExpired:
                    shown.tick()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)  # with its children: compilers, package managers
            process.wait()
            raise
    if code:
        raise BrokenError(f"{shown.text} failed: {last_line(log)}", f"read {log}")


def last_line(log: Path) -> str:
    """The last line of a log that says something, for an error of one line."""
    with contextlib.suppress(OSError):
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1][-300:]
    return "no output"
