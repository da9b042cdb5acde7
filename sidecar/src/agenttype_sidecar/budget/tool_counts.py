"""The calls of this run to each tool server whose calls are limited. Pure: the ledger writes, this only counts.

A call is recorded before it goes out, because its dispatch writes the count too.
"""


class ToolCounts:
    """The counts by server.

    Attributes:
        changed: Servers whose count is not recorded yet.
    """

    def __init__(self) -> None:
        self.changed: set[str] = set()
        self._calls: dict[str, int] = {}

    def restored(self, server: str, calls: int) -> None:
        """Take over the count of a former process."""
        self._calls[server] = calls

    def of(self, server: str) -> int:
        """Return how many calls to a server have gone out."""
        return self._calls.get(server, 0)

    def add(self, server: str, calls: int) -> None:
        """Count calls that are about to be dispatched; a negative number takes back calls that were never sent."""
        self._calls[server] = max(0, self.of(server) + calls)
        self.changed.add(server)
