"""What a call to the sidecar carries: a trace of its own, the process it comes from, the wrapper's state."""

import os

from . import environment, sidecar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Container

    from .state import State


class Calls:
    """What hooks need to mark and route calls; one per process."""

    def __init__(self, sidecar_url: str, state: "State") -> None:
        self.sidecar = sidecar.Sidecar(sidecar_url)
        self._state = state
        self._pid = 0
        self._process = ""

    def headers(self, present: "Container[str]") -> "dict[str, str]":
        """Return the headers to add to one call to the sidecar; `present` has its lower-case header names.

        A header that the caller set is the caller's: agents that trace themselves keep their traces.
        """
        ours = {
            # W3C Trace Context level 1: version, trace, span, sampled.
            environment.HEADER_TRACE: "00-" + os.urandom(16).hex() + "-" + os.urandom(8).hex() + "-01",
            environment.HEADER_PROCESS: self._process_id(),
            environment.HEADER_WRAPPER: str(self._state),
        }
        return {name: value for name, value in ours.items() if name not in present}

    def attempt(self, part: str, act: "Callable[..., None]", *args: "Any") -> None:
        """Do what a call can do without. Narrower than at start: Ctrl-C during a call is the user's."""
        try:
            act(*args)
        except Exception as error:
            self._state.flaw(part, error)

    def _process_id(self) -> str:
        pid = os.getpid()
        if pid != self._pid:  # the first call, or the first one after a fork
            self._pid = pid
            self._process = str(pid) + "-" + os.urandom(8).hex()
        return self._process
