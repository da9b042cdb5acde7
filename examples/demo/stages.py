"""Progress that people read: every stage with its elapsed time, and all of them at the end."""

import contextlib
import sys
import time
from collections.abc import Iterator


class Stages:
    """Prints a line when a stage begins and when it ends, and remembers how long each took."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what runs inside; a failure is named and passed on."""
        say(f"▸ {name}")
        begun = time.monotonic()
        try:
            yield
        except BaseException:
            say(f"✗ {name} failed after {time.monotonic() - begun:.0f} s")
            raise
        self.seconds[name] = time.monotonic() - begun
        say(f"✓ {name} ({self.seconds[name]:.0f} s)")

    def summary(self) -> str:
        """Return one line: each stage and the whole."""
        parts = [f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items()]
        return ", ".join([*parts, f"all {time.monotonic() - self.started:.0f} s"])


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
