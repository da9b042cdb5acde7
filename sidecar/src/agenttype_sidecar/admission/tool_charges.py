"""What tool calls take of the budget: each is held before it goes out, with the longest time that it may take.

The tools' gateway does this around each tool call::

    hold = await charges.admit(timeout)            # raises a Refusal: nothing may be sent
    try:
        ... send, and give up after `hold.seconds`  # may be less than `timeout`: what ToolTime has left
    finally:
        charges.settle(hold, seconds_it_took)       # or charges.release(hold) where nothing was sent

`settle` and `release` may be called again, in any order; the first call counts.
"""

from typing import Any, NamedTuple

from agenttype_sidecar.admission.admission import Admission
from agenttype_sidecar.budget.balances import Hold


class ToolHold(NamedTuple):
    """A tool call that may go.

    Attributes:
        hold: What is held for it.
        seconds: How long it may take.
    """

    hold: Hold
    seconds: float


class ToolCharges:
    """Holds and charges tool calls."""

    def __init__(self, admission: Admission[Any]) -> None:
        """Charge the budget that `admission` guards."""
        self._admission = admission

    async def admit(self, timeout: float) -> ToolHold:  # noqa: ASYNC109 — what is held, not how long we wait
        """Hold one tool call of at most `timeout` seconds; when this returns, the hold survives the process.

        Raises:
            BudgetSpent: ToolCalls or ToolTime is used up.
            BudgetHeld: Running calls hold what is left, and did not give it back in time.
            LedgerUnavailable: The hold cannot be recorded, or a shared limit cannot be counted.
            AgentStopped: The agent was stopped for good.
        """
        hold = await self._admission.admit_tool(timeout)
        return ToolHold(hold, hold.amounts.tool_ms / 1000)

    def settle(self, hold: ToolHold, seconds: float) -> None:
        """Charge one call and its time."""
        self._admission.settle_tool(hold.hold, seconds)

    def release(self, hold: ToolHold) -> None:
        """Charge nothing: nothing of the call went out."""
        self._admission.release_tool(hold.hold)
