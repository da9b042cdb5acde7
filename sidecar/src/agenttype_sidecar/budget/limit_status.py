"""What is spent, held and left of each limit of a policy now."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import Resource, Window

from agenttype_sidecar.budget import reservation, windows
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import BudgetLine, BudgetLines
from agenttype_sidecar.budget.shared_limits import SharedLimits

#: Windows that end with the run, or never: what is spent in them does not come back.
LASTING: Final = (Window.RUN, Window.FOREVER)
#: Used at every call, and looking up a member of an enumeration is slow.
_WALL_CLOCK: Final = Resource.WALL_CLOCK
_LEAST: Final = {
    Resource.TOKENS: reservation.MIN_OUTPUT + 1,
    Resource.OUTPUT_TOKENS: reservation.MIN_OUTPUT,
}


class BudgetRow(NamedTuple):
    """One limit, as it is reported.

    Attributes:
        line: What is spent, held and left of it, in units of its resource.
        reset: Seconds until it starts again; None where it never does.
        warning: Whether it has passed `warnAtPercent`.
    """

    line: BudgetLine
    reset: float | None
    warning: bool


class LimitStatus:
    """Reads the ledger for the limits of a policy."""

    def __init__(self, ledger: Ledger, shared: SharedLimits) -> None:
        self.ledger = ledger
        self.shared = shared

    def lines(self, limits: Iterable[Limit]) -> BudgetLines:
        """Return one line for every limit, in order."""
        self.ledger.advance()
        return tuple([self._line(limit) for limit in limits])

    def lines_for_call(self, limits: Iterable[Limit]) -> BudgetLines:
        """Return the lines for a call that is about to use the limits."""
        found = self.lines(limits)
        for line in found:
            if line.drawn is not None:
                self.shared.note_use(line.limit)
        return found

    def resets_in(self, limit: Limit) -> float | None:
        """Return the seconds until a limit's window starts again; None where it never does."""
        return windows.resets_in(limit.window, self.ledger.balances.minute, self.ledger.now())

    def exhausted(self, limits: Iterable[Limit]) -> tuple[str, ...]:
        """Return the names of the limits whose rest is too small for any call."""
        return tuple(line.limit.name for line in self.lines(limits) if is_exhausted(line))

    def rows(self, limits: Iterable[Limit], warn_at_percent: int) -> tuple[BudgetRow, ...]:
        """Return the lines, each with its reset and warning."""
        return tuple(
            BudgetRow(line, self.resets_in(line.limit), line.used_up * 100 >= line.limit.max * warn_at_percent)
            for line in self.lines(limits)
        )

    def _line(self, limit: Limit) -> BudgetLine:
        resource = limit.resource
        if resource is _WALL_CLOCK:
            return BudgetLine(limit, self.ledger.elapsed_ms, 0)
        if limit.account:
            return self.shared.line(limit)
        spent, held = self.ledger.balances.spent_and_held(limit.window, resource)
        return BudgetLine(limit, spent, held)


def is_exhausted(line: BudgetLine) -> bool:
    """Return whether what is left of a limit is too small for any call."""
    return line.limit.max - line.used_up < _LEAST.get(line.limit.resource, 1)
