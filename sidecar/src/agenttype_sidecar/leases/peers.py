"""The other holders of an account: what their records say, and who has fallen silent. Pure.

No two clocks are compared: a holder is silent whose record has not changed for long enough by our own.
"""

from collections.abc import Iterator
from typing import NamedTuple

from agenttype_sidecar.leases.shares import Look, Record, Returns
from agenttype_sidecar.leases.terms import Times


class _PeerRecord(NamedTuple):
    """A holder's record, its revision, and since when we see it so."""

    record: Record
    revision: int
    since: float


class Peers:
    """All other holders whose records are not over; a look brings what changed of them.

    Attributes:
        revision: Up to here their records are known: where the next look begins.
    """

    def __init__(self, times: Times) -> None:
        """Begin with nobody."""
        self.revision = 0
        self._times = times
        self._others: dict[str, _PeerRecord] = {}

    def forget(self) -> None:
        """Know nobody any more."""
        self.revision = 0
        self._others.clear()

    def meet(self, look: Look, us: str, now: float) -> None:
        """Take note of the records that changed; those at rest when we come, perhaps thousands, are no company."""
        at_rest = now - self._times.silence if self.revision == 0 else now
        self.revision = look.revision
        for name, entry in look.records.items():
            record = Record.from_json(entry.text)
            if name == us or record.over:
                self._others.pop(name, None)
            else:
                self._others[name] = _PeerRecord(record, entry.revision, at_rest if record.idle else now)

    def unused(self, returns: Returns, now: float) -> list[int]:
        """Return of each holder that wrote lately what may come back."""
        alive = [seen for seen in self._others.values() if now - seen.since < self._times.silence]
        return [returns.standing(seen.record, seen.revision).unused for seen in alive]

    def silent(self, returns: Returns, now: float) -> Iterator[tuple[str, int]]:
        """Yield the names of those that are to be ended, and the revisions of their records."""
        for name, seen in [*self._others.items()]:
            is_idle = returns.standing(seen.record, seen.revision).idle
            if now - seen.since >= (self._times.leftover if is_idle else self._times.silence):
                yield name, seen.revision
