"""A store of shared budgets whose every answer a test decides: lost, late, twice, or never.

store = ModelStore()
run = Run(lease.take(Addition("a", 5), to=5, used=0))
run.deliver()     # the store does what was asked; the step goes on to its next request
run.lose(store)   # no answer; the request may still arrive, with `store.arrive(0)`
"""

import contextlib
from collections.abc import Callable, Coroutine
from types import coroutine
from typing import Any, NamedTuple

from agenttype_sidecar.leases.shares import AccountChanges, Addition, Conflict, Entry, StoreUnavailable, Sums


@coroutine
def _asked(work: Callable[[], Any]) -> Any:
    """Hand the request to whoever drives the step, and wait for the answer."""
    return (yield work)


class ModelStore:
    """One account, kept as the real store keeps it."""

    reachable = True
    connections = 0

    def __init__(self) -> None:
        self.counter = 0
        self.entries: dict[str, Entry] = {}
        self.strays: list[Callable[[], Any]] = []
        self.operations: set[str] = set()
        self._revision = 0
        #: A server that is behind and answers reads, if there is one.
        self.slow: Kept | None = None

    def open(self) -> None:
        """It is always there."""

    async def close(self) -> None:
        """It stays."""

    def forget_operations(self) -> None:
        """Let the time pass after which a repeated addition is not known any more."""
        self.operations.clear()

    def forget_all(self) -> None:
        """Lose the volume."""
        self.counter = 0
        self.entries.clear()
        self.operations.clear()

    def copy(self) -> "Kept":
        """Make a copy, as a backup does."""
        return Kept(self.counter, dict(self.entries), self._revision)

    def go_back(self, kept: "Kept") -> None:
        """Restore a copy; what was on its way is lost with the server."""
        self.counter, self.entries, self._revision = kept.counter, dict(kept.entries), kept.revision
        self.operations.clear()
        self.strays.clear()

    def arrive(self, which: int) -> None:
        """Let a request arrive that was given up."""
        work = self.strays.pop(which % len(self.strays))
        with contextlib.suppress(Conflict):
            work()

    async def add(self, _: Any, take: Addition) -> int:
        return await _asked(lambda: self._add(take))

    async def sums(self, _: Any) -> Sums:
        return await _asked(self._sums)

    async def look(self, _: Any, since: int) -> AccountChanges:
        return await _asked(lambda: self._look(since))

    async def get(self, _: Any, name: str) -> Entry:
        return await _asked(lambda: (self.slow or self).entries.get(name, Entry()))

    async def put(self, _: Any, name: str, text: bytes, revision: int, *, fades: bool = False) -> int:  # noqa: ARG002 — no hour passes here
        return await _asked(lambda: self._put(name, text, revision))

    def _add(self, take: Addition) -> int:
        if take.operation not in self.operations:
            self.operations.add(take.operation)
            self.counter += take.amount
        return self.counter

    def _sums(self) -> Sums:
        told = self.slow or self
        return Sums(told.counter, told.entries.get("returns", Entry()))

    def _look(self, since: int) -> AccountChanges:
        new = {name: at for name, at in self.entries.items() if at.revision > since}
        records = {name: at for name, at in new.items() if name != "returns"}
        return AccountChanges(self._sums(), records, max([since, *(at.revision for at in new.values())]))

    def _put(self, name: str, text: bytes, revision: int) -> int:
        if self.entries.get(name, Entry()).revision != revision:
            raise Conflict
        self._revision += 1
        self.entries[name] = Entry(text, self._revision)
        return self._revision


class Kept(NamedTuple):
    """A store as it was."""

    counter: int
    entries: dict[str, Entry]
    revision: int


class Run:
    """One step on its way, halted at its request to the store."""

    def __init__(self, step: Coroutine[Any, Any, Any]) -> None:
        self._step = step
        self._request: Callable[[], Any] | None = None
        self._go_on(lambda: step.send(None))

    @property
    def is_over(self) -> bool:
        return self._request is None

    def deliver(self) -> None:
        """Let the request arrive, and its answer."""
        try:
            answer = self._request()
        except Conflict as conflict:
            refused = conflict
            self._go_on(lambda: self._step.throw(refused))
        else:
            self._go_on(lambda: self._step.send(answer))

    def deliver_unheard(self) -> None:
        """Let the request arrive; its answer is lost."""
        with contextlib.suppress(Conflict):
            self._request()
        self._go_on(lambda: self._step.throw(StoreUnavailable()))

    def lose(self, store: ModelStore) -> None:
        """Give the request up; it may still arrive."""
        store.strays.append(self._request)
        self._go_on(lambda: self._step.throw(StoreUnavailable()))

    def die(self, store: ModelStore) -> None:
        """End the process; its request may still arrive."""
        if self._request is not None:
            store.strays.append(self._request)
            self._request = None
            self._step.close()

    def finish(self) -> None:
        """Let everything arrive until the step is over."""
        while not self.is_over:
            self.deliver()

    def _go_on(self, move: Callable[[], Any]) -> None:
        try:
            self._request = move()
        except (StopIteration, Conflict, StoreUnavailable):
            self._request = None
