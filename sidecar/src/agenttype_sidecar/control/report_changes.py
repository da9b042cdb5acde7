"""What the operator watches: a sequence number that grows with every change, and the requests that wait for it."""

import asyncio
from typing import Final

from agenttype_api.sidecar_report import PolicyReport

#: The longest wait for a change, in seconds.
LONGEST_WAIT: Final = 300.0


class Changes:
    """Compares each report with the last one; a waiting request costs nothing until they differ."""

    def __init__(self) -> None:
        self._sequence = 0
        self._last: PolicyReport | None = None
        self._over = False
        self._waiting: set[asyncio.Future[None]] = set()

    def numbered(self, report: PolicyReport) -> PolicyReport:
        """Return a report with its sequence; a changed report gets a new one."""
        if report != self._last:
            self._last = report
            self._sequence += 1
            self._wake()
        return report.model_copy(update={"sequence": self._sequence})

    async def passed(self, sequence: int, seconds: float) -> None:
        """Return once the sequence has passed this number, or after `seconds`; at once if the process ends."""
        if self._sequence > sequence or self._over:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(min(max(seconds, 0.0), LONGEST_WAIT)):
                await waiter
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(waiter)

    def end(self) -> None:
        """End all waiting."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
