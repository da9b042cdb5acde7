"""The LLM calls that ended recently, for the control API."""

import time
from collections import deque
from typing import Final, NamedTuple

#: How long a call stays visible, and how many calls do.
CALL_SECONDS: Final = 600
CALLS: Final = 1000


class CallRecord(NamedTuple):
    """One LLM call that has ended.

    Attributes:
        at: Unix seconds of its end.
        path: Path of the operation, without base and query.
        model: Served model; "other" where no route was found.
        adapter: Alias of the adapter, empty without one.
        protocol: OpenAI or Anthropic.
        outcome: ok, refused, upstream_error, cut or caller_gone.
        status: The status sent to the caller; 499 where it had left.
        reason: Why, for every outcome but ok.
        input: Input tokens charged.
        output: Output tokens charged.
        cost: Nano-dollars charged.
        usage_source: provider, counted, estimated or reserved; empty where nothing was charged.
        seconds: From its arrival to its end.
        first_byte: Seconds from its arrival to the first byte of the answer, None without one.
        clamped: Whether its answer was shortened to what was left.
        attempts: How often it was sent, the last time included.
    """

    at: float
    path: str
    model: str
    adapter: str
    protocol: str
    outcome: str
    status: int
    reason: str
    input: int
    output: int
    cost: int
    usage_source: str
    seconds: float
    first_byte: float | None
    clamped: bool
    attempts: int


class CallLog:
    """Remembers the calls of the last minutes."""

    def __init__(self) -> None:
        self._calls: deque[CallRecord] = deque(maxlen=CALLS)

    def note(self, call: CallRecord) -> None:
        """Remember a call that has ended."""
        self._calls.append(call)

    def last(self) -> tuple[CallRecord, ...]:
        """Return the calls of the last minutes, oldest first."""
        since = time.time() - CALL_SECONDS
        return tuple(call for call in self._calls if call.at >= since)
