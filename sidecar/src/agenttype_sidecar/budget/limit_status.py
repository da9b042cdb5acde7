"""The limits of a policy with what is spent, held and left of each, at this moment."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from agenttype_api.policy import Limit
from agenttype_api.v1alpha1 import Resource, Window

from agenttype_sidecar.budget import reservation, windows
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import Line, Lines
from agenttype_sidecar.budget.shared_limits import SharedLimits

#: Windows that end with the run, or never: what they have lost does not come back.
LASTING: Final = (Window.RUN, Window.FOREVER)
#: Asked for at every call, and a class of an enumeration answers slowly.
_WALL_CLOCK: Final = Resource.WALL_CLOCK
_LEAST: Final = {
    Resource.TOKENS: reservation.MIN_OUTPUT + 1,
    Resource.OUTPUT_TOKENS: reservation.MIN_OUTPUT,
}


class Row(NamedTuple):
    """One limit, as people are told of it.

    Attributes:
        line: What is spent, held and left of it, in units of its resource.
        reset: Seconds until it starts anew; None where it never does.
        warning: Whether so much is spent that somebody should know.
    """

    line: Line
    reset: float | None
    warning: bool


class LimitStatus:
    """Reads the ledger for the limits of a policy."""

    def __init__(self, ledger: Ledger, shared: SharedLimits) -> None:
        self.ledger = ledger
        self.shared = shared

    def lines(self, limits: Iterable[Limit]) -> Lines:
        """Return one line for every limit, in order."""
        self.ledger.turn()
        return tuple([self._line(limit) for limit in limits])

    def asked(self, limits: Iterable[Limit]) -> Lines:
        """Return the lines for a call that is about to use them."""
        found = self.lines(limits)
        for line in found:
            if line.drawn is not None:
                self.shared.ask(line.limit)
        return found

    def resets_in(self, limit: Limit) -> float | None:
        """Return the seconds until a limit's window starts anew; None where it never does."""
        return windows.resets_in(limit.window, self.ledger.book.minute, self.ledger.now())

    def exhausted(self, limits: Iterable[Limit]) -> tuple[str, ...]:
        """Return the names of the limits whose rest holds no call, however small."""
        return tuple(line.limit.name for line in self.lines(limits) if is_exhausted(line))

    def rows(self, limits: Iterable[Limit], warn_at_percent: int) -> tuple[Row, ...]:
        """Return the lines with what people want to know beside."""
        return tuple(
            Row(line, self.resets_in(line.limit), line.gone * 100 >= line.limit.max * warn_at_percent)
            for line in self.lines(limits)
        )

    def _line(self, limit: Limit) -> Line:
        resource = limit.resource
        if resource is _WALL_CLOCK:
            return Line(limit, self.ledger.elapsed_ms, 0)
        if limit.account:
            return self.shared.line(limit)
        spent, held = self.ledger.book.standing(limit.window, resource)
        return Line(limit, spent, held)


def is_exhausted(line: Line) -> bool:
    """Return whether what is not spent of a limit holds no call, however small."""
    return line.limit.max - line.gone < _LEAST.get(line.limit.resource, 1)
