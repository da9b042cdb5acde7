"""Faults that a test asks for, and the list of what arrived: the two things the real engine lacks.

`POST /simulator/faults` takes one fault: which `path`, how many `times` (absent: until cleared), and one of

    {"status": 500, "headers": {"retry-after": "1"}, "body": {...}}   answer with an error instead
    {"reset_after_bytes": 100}    reset the connection after so many bytes of body; 0 is before the headers
    {"hang_after_bytes": 100}     send so many bytes of body, then nothing more; 0 as above
    {"hang": true}                accept the call and never answer
    {"delay": 0.5}                answer late, in seconds

`DELETE /simulator/faults` clears them. `GET /simulator/requests` lists what arrived, oldest first, with what became
of it; `DELETE /simulator/requests` empties the list. Control calls are never listed nor disturbed.
"""

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from agenttype_simulator.errors import Refusal

REMEMBERED = 5_000


@dataclass
class Fault:
    """One scripted fault; exactly one of the actions is set."""

    path: str
    times: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    reset_after_bytes: int | None = None
    hang_after_bytes: int | None = None
    hang: bool = False
    delay: float = 0.0

    def __post_init__(self) -> None:
        actions = (self.status, self.reset_after_bytes, self.hang_after_bytes, self.hang or None, self.delay or None)
        if sum(action is not None for action in actions) != 1:
            raise Refusal("a fault has exactly one of status, reset_after_bytes, hang_after_bytes, hang, delay")

    def passes(self) -> int | None:
        """How many bytes of body get through; None when the fault does not break the reply off."""
        return self.hang_after_bytes if self.reset_after_bytes is None else self.reset_after_bytes


@dataclass
class Arrival:
    """One request as it arrived, and what became of it; `outcome` is running, answered, aborted or faulted."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    outcome: str = "running"
    status: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Script:
    """The faults still to come, oldest first, and the latest arrivals."""

    faults: list[Fault] = field(default_factory=list)
    arrivals: deque[Arrival] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, wish: Any) -> None:
        """Append the fault that a test asks for; a key that no fault has is refused, so typos show."""
        if not isinstance(wish, dict) or not isinstance(wish.get("path"), str):
            raise Refusal("a fault is an object with a path")
        unknown = wish.keys() - Fault.__dataclass_fields__.keys()
        if unknown:
            raise Refusal(f"unknown keys of a fault: {sorted(unknown)}")
        self.faults.append(Fault(**wish))

    def next_for(self, path: str) -> Fault | None:
        """Take one turn of the oldest fault for `path`."""
        for fault in self.faults:
            if fault.path == path:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                return fault
        return None

    def listed(self) -> dict[str, Any]:
        """The arrivals as JSON."""
        return {"requests": [asdict(arrival) for arrival in self.arrivals]}
