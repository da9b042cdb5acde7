"""How a program of ours begins to serve, is told to end, and does things again and again until then."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set. Call it in the running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def say_ready(**ports: int) -> None:
    """Write the ready line: one JSON object on standard output with the port of each listener by its name."""
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()


async def every(seconds: float, chore: Callable[[], object]) -> None:
    """Do a chore again and again, with a pause before each; end when it raises."""
    while True:
        await asyncio.sleep(seconds)
        chore()


async def drained(is_busy: Callable[[], bool], within: float, look: float = 0.05) -> bool:
    """Wait until nothing is busy; return False where `within` seconds were not enough.

    It looks every `look` seconds instead of being told: it happens once in a life, and calls pay nothing for it.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + within
    while is_busy():
        if loop.time() >= due:
            return False
        await asyncio.sleep(look)
    return True
