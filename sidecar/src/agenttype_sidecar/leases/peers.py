"""The other holders of an account: their records, and which of them are silent. Pure.

No two clocks are compared: a holder is silent if its record has not changed for long enough by our own clock.
"""

from collections.abc import Iterator
from typing import NamedTuple

from agenttype_sidecar.leases.lease_types import Times
from agenttype_sidecar.leases.shares import AccountChanges, Record, Returns


class _PeerRecord(NamedTuple):
    """A holder's record, its revision, and since when it is unchanged by our clock."""

    record: Record
    revision: int
    since: float


class Peers:
    """All other holders whose leases have not ended; each read brings the changed records.

    Attributes:
        revision: Records up to this revision are known; the next read begins here.
    """

    def __init__(self, times: Times) -> None:
        """Begin with no holders."""
        self.revision = 0
        self._times = times
        self._others: dict[str, _PeerRecord] = {}

    def forget(self) -> None:
        """Forget all holders."""
        self.revision = 0
        self._others.clear()

    def update(self, look: AccountChanges, own_name: str, now: float) -> None:
        """Update the changed records; at the first read, idle ones (perhaps thousands) count as long unchanged."""
        at_rest = now - self._times.silence if self.revision == 0 else now
        self.revision = look.revision
        for name, entry in look.records.items():
            record = Record.from_json(entry.text)
            if name == own_name or record.over:
                self._others.pop(name, None)
            else:
                self._others[name] = _PeerRecord(record, entry.revision, at_rest if record.idle else now)

    def unused(self, returns: Returns, now: float) -> list[int]:
        """Return what may come back from each holder that wrote recently."""
        alive = [seen for seen in self._others.values() if now - seen.since < self._times.silence]
        return [returns.trusted_part(seen.record, seen.revision).unused for seen in alive]

    def silent(self, returns: Returns, now: float) -> Iterator[tuple[str, int]]:
        """Yield the names of holders whose leases are to be ended, and the revisions of their records."""
        for name, seen in [*self._others.items()]:
            is_idle = returns.trusted_part(seen.record, seen.revision).idle
            if now - seen.since >= (self._times.leftover if is_idle else self._times.silence):
                yield name, seen.revision
