"""Calls of each tool server in this run, of servers whose calls are limited. Pure: the ledger writes, this only counts.

What is counted is on record before the call goes out, for the dispatch of the call writes it along.
"""


class ToolCounts:
    """Counts.

    Attributes:
        changed: Servers whose count is not on record yet.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._calls: dict[str, int] = {}

    def restored(self, server: str, calls: int) -> None:
        """Take over what a former process has counted."""
        self._calls[server] = calls

    def of(self, server: str) -> int:
        """Return how many calls of a server have gone out."""
        return self._calls.get(server, 0)

    def add(self, server: str, calls: int) -> None:
        """Count calls that are about to be dispatched, or take back those that were never sent."""
        self._calls[server] = max(0, self.of(server) + calls)
        self.changed.add(server)
