"""Decides what the controller does next: compares loaded adapters with wanted ones. Pure.

Every turn makes a new plan from the observed state, so a controller that was killed continues where it stopped. This
also guarantees an order: a folder is deleted only in a turn that found it no longer loaded, because an engine dies when
it opens a missing file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agenttype_api.gate_policy import WantedAdapter


@dataclass(frozen=True)
class Observed:
    """The observed state; every string is a served name, `alias@digest12`, unless stated otherwise.

    Attributes:
        loaded: What the engine serves besides its base model, with the path it was loaded from (`root`).
        proven: Loaded by us from the right path, and answering.
        spoiled: Its folder on the engine's volume has changed.
        broken: Wanted, but faulty itself.
        busy: With calls in flight.
        folders: What has a folder on the engine's volume, with that folder's path.
    """

    loaded: Mapping[str, str]
    proven: frozenset[str]
    spoiled: frozenset[str]
    broken: frozenset[str]
    busy: frozenset[str]
    folders: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What to do, in this order.

    Attributes:
        unload: Loaded, not wanted (or from a wrong path), and without calls.
        draining: The same, but with calls in flight; it is unloaded once they are done.
        delete: Folders of adapters that are neither wanted nor loaded nor used.
        bring: To be fetched, loaded or proven.
        waiting: Wanted, but there is no room until others are unloaded.
        surplus: More than the engine can hold.
    """

    unload: tuple[str, ...] = ()
    draining: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    bring: tuple[WantedAdapter, ...] = ()
    waiting: tuple[WantedAdapter, ...] = ()
    surplus: tuple[WantedAdapter, ...] = ()

    @property
    def acts(self) -> bool:
        """Whether there is something to do now."""
        return bool(self.unload or self.delete or self.bring)

    @property
    def at_rest(self) -> bool:
        """Whether there is nothing to do and nothing to wait for."""
        return not (self.acts or self.draining or self.waiting)


def plan(wanted: Sequence[WantedAdapter], capacity: int, path_of: Mapping[str, str], seen: Observed) -> Plan:
    """Return what to do.

    Args:
        wanted: every adapter version that has to be live, in the document's order.
        capacity: how many adapters the engine holds.
        path_of: the path from which each wanted one has to be loaded.
        seen: the observed state.
    """
    correct = {name for name, root in seen.loaded.items() if path_of.get(name) == root} - seen.spoiled
    usable = [adapter for adapter in wanted if adapter.served_name not in seen.broken]
    kept = [adapter for adapter in usable if adapter.served_name in correct]
    missing = [adapter for adapter in usable if adapter.served_name not in correct]
    fitting, surplus = _split([*kept, *missing], capacity)
    chosen = {adapter.served_name for adapter in fitting}
    leaving = [name for name in seen.loaded if name not in chosen or name not in correct]
    loading = [adapter for adapter in fitting if adapter.served_name not in correct]
    room = capacity - len(seen.loaded)
    may_load, waiting = _split([adapter for adapter in loading if adapter.served_name not in seen.loaded], room)
    unproven = [adapter for adapter in kept if adapter.served_name in chosen - seen.proven]
    return Plan(
        unload=tuple(name for name in leaving if name not in seen.busy),
        draining=tuple(name for name in leaving if name in seen.busy),
        delete=tuple(
            name
            for name, path in seen.folders.items()
            if (name not in chosen or name in seen.spoiled)
            and name not in seen.loaded
            and name not in seen.busy
            and path not in seen.loaded.values()
        ),
        bring=(*unproven, *may_load),
        waiting=(*waiting, *(adapter for adapter in loading if adapter.served_name in seen.loaded)),
        surplus=tuple(surplus),
    )


def _split(adapters: list[WantedAdapter], at: int) -> tuple[list[WantedAdapter], list[WantedAdapter]]:
    return adapters[: max(0, at)], adapters[max(0, at) :]
