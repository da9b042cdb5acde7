"""Which backend keeps which response of this agent. Pure: the ledger writes it, with the next flush.

It is not money, so no call waits for the write: entries of the last moment before a kill are lost, and their responses
are then unknown to every call.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

#: Names of responses and of their items, all together: about 1 MiB.
MOST: Final = 8192


class ResponseOwner(NamedTuple):
    """The backend that keeps a response or an item.

    Attributes:
        name: Of the response or item.
        backend: The backend's name.
        number: Its place among all that were ever added; the lowest is forgotten first.
    """

    name: str
    backend: str
    number: int


class ResponseOwners:
    """The owners of the latest responses and items, a bounded number of them.

    Attributes:
        unrecorded: What is not recorded yet, by number.
        to_delete: Numbers that are still recorded and must be deleted.
    """

    def __init__(self, most: int = MOST) -> None:
        """Begin with none; keep at most `most` names."""
        self.unrecorded: dict[int, ResponseOwner] = {}
        self.to_delete: set[int] = set()
        self._most = most
        self._owners: dict[str, ResponseOwner] = {}
        self._number = 0

    @property
    def behind(self) -> bool:
        """Whether something waits to be recorded."""
        return bool(self.unrecorded or self.to_delete)

    def restored(self, owner: Iterable[ResponseOwner]) -> None:
        """Take over what a former process had recorded."""
        for each in sorted(owner, key=lambda each: each.number):
            self._owners[each.name] = each
            self._number = each.number

    def backend(self, name: str) -> str | None:
        """Return the backend that keeps a response, None if none does or it is no longer known."""
        owner = self._owners.get(name)
        return None if owner is None else owner.backend

    def keep(self, name: str, backend: str) -> None:
        """Record which backend keeps a response from now on; it replaces an earlier one."""
        self.forget(name)
        self._number += 1
        self._owners[name] = self.unrecorded[self._number] = ResponseOwner(name, backend, self._number)
        if len(self._owners) > self._most:
            self.forget(next(iter(self._owners)))

    def forget(self, name: str) -> None:
        """Record that a response is no longer kept."""
        owner = self._owners.pop(name, None)
        if owner is not None and self.unrecorded.pop(owner.number, None) is None:
            self.to_delete.add(owner.number)

    def recorded(self) -> None:
        """Record that all changes are written."""
        self.unrecorded.clear()
        self.to_delete.clear()
