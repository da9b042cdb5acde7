"""Know a process for certain, and end it; never by name.

A pid alone may be another process's by now, so a process is its pid, its start time and the boot it lives in. A second
mark is the environment variable `MARK`, which every process that we start inherits: it finds the ones that a killed
`up` had no time to record, and the helpers that containerd started for us.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

MARK = "AGENTTYPE_CLUSTER"
_PROC = Path("/proc")
_START_FIELD = 19  # of /proc/PID/stat, counted after the command's closing bracket


@dataclasses.dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for another."""

    name: str
    pid: int
    start: int
    boot: str
    program: str


def boot_id() -> str:
    """The identity of this boot: after a reboot every record of a process is history."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """A process's start time in clock ticks since boot; None when it is gone or only a zombie."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else int(fields[_START_FIELD])


def program(pid: int) -> str:
    """The first word of a process's command line, empty when it is gone."""
    with contextlib.suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    return ""


def alive(process: Process) -> bool:
    """Whether exactly this process, not a later one with its pid, still runs."""
    return (
        process.boot == boot_id()
        and start_time(process.pid) == process.start
        and program(process.pid) == process.program
    )


def marked(mark: str) -> list[Process]:
    """Every process of this machine that carries our mark in the environment it was started with."""
    wanted = f"{MARK}={mark}".encode()
    return _matching(lambda entry: wanted in (entry / "environ").read_bytes().split(b"\0"))


def of_pids(pids: Iterable[int]) -> list[Process]:
    """The processes that these pids are now; used for the members of a cgroup of ours."""
    chosen = {str(pid) for pid in pids}
    return _matching(lambda entry: entry.name in chosen)


def _matching(accept: Callable[[Path], bool]) -> list[Process]:
    found, boot = [], boot_id()
    for entry in _PROC.iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid() and accept(entry):
                pid = int(entry.name)
                if (start := start_time(pid)) is not None:
                    found.append(Process(program(pid), pid, start, boot, program(pid)))
    return found


def stop(chosen: Sequence[Process], grace: float, tick: Callable[[], None] = lambda: None) -> None:
    """Ask the processes to end, wait up to `grace` seconds, then kill what is left and wait for that."""
    for process in chosen:
        _signal(process, signal.SIGTERM)
    if not _gone(chosen, grace, tick):
        for process in chosen:
            _signal(process, signal.SIGKILL)
        _gone(chosen, 5.0, tick)


def _signal(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process.pid)  # holds the identity still between the check and the signal
        try:
            if alive(process):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _gone(chosen: Sequence[Process], seconds: float, tick: Callable[[], None]) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(process) for process in chosen):
        if time.monotonic() > deadline:
            return False
        tick()
        time.sleep(0.05)
    return True
