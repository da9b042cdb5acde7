"""Which backend keeps which response of this agent's. Pure: the ledger writes it, with the next flush, this only knows.

It is no money, so no call waits for it: what the last moment before a kill brought is forgotten, and then there is no
such response, whoever asks for it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

#: Names of responses and of their items, all together: about 1 MiB.
MOST: Final = 8192


class Kept(NamedTuple):
    """What is known of a name.

    Attributes:
        name: A response's, or an item's of one.
        backend: Who keeps it.
        number: Its place among all that were ever kept; the lowest is forgotten first.
    """

    name: str
    backend: str
    number: int


class ResponseOwners:
    """The latest names, so many at most.

    Attributes:
        fresh: What is not on record yet, by number.
        gone: Numbers that are on record still and should not be.
    """

    def __init__(self, most: int = MOST) -> None:
        """Know nothing yet, and never more than `most` names."""
        self.fresh: dict[int, Kept] = {}
        self.gone: set[int] = set()
        self._most = most
        self._kept: dict[str, Kept] = {}
        self._number = 0

    @property
    def behind(self) -> bool:
        """Whether something waits to be recorded."""
        return bool(self.fresh or self.gone)

    def restored(self, kept: Iterable[Kept]) -> None:
        """Take over what a former process knew."""
        for each in sorted(kept, key=lambda each: each.number):
            self._kept[each.name] = each
            self._number = each.number

    def backend(self, name: str) -> str | None:
        """Return who keeps a response, None where that is nobody or not known any more."""
        kept = self._kept.get(name)
        return None if kept is None else kept.backend

    def keep(self, name: str, backend: str) -> None:
        """Note who keeps a response from now on, in place of whoever kept it before."""
        self.forget(name)
        self._number += 1
        self._kept[name] = self.fresh[self._number] = Kept(name, backend, self._number)
        if len(self._kept) > self._most:
            self.forget(next(iter(self._kept)))

    def forget(self, name: str) -> None:
        """Note that a response is kept no longer."""
        kept = self._kept.pop(name, None)
        if kept is not None and self.fresh.pop(kept.number, None) is None:
            self.gone.add(kept.number)

    def recorded(self) -> None:
        """Note that all is on record."""
        self.fresh.clear()
        self.gone.clear()
