"""Waiting for what a cluster is about to say."""

import time
from collections.abc import Callable
from typing import Any

from examples.demo.kubectl import CommandError

SECONDS = 120


def until(condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait until a condition holds and return what it returned."""
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        try:
            found = condition()
        except (CommandError, KeyError, IndexError):
            found = None
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}")
