"""What the controller has to do next: loaded adapters compared with wanted ones. Pure.

Every turn plans anew from what is really there, so a controller that was killed at any moment goes on where it stopped.
The order that this guarantees: a folder is deleted only in a turn that did not find it loaded any more, for an engine
dies when it reaches for a file that is gone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agenttype_api.gate_policy import WantedAdapter


@dataclass(frozen=True)
class Observed:
    """What is there now; every string is a served name, `alias@digest12`, unless it says otherwise.

    Attributes:
        loaded: What the engine serves beside its base model, to the path it was loaded from (`root`).
        proven: Loaded by us from the right path and answering.
        spoiled: With a folder on the engine's volume that is not what it was.
        broken: Wanted, but broken by its own fault.
        busy: With calls in flight.
        folders: What has a folder of its own on the engine's volume, to that folder's path.
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
        unload: Loaded, not wanted (or from a wrong path), and nobody uses it.
        draining: The same, but calls are in flight; it is unloaded once they are done.
        delete: Folders of what is neither wanted nor loaded nor used.
        bring: To be fetched, loaded or proven.
        waiting: Wanted, and there is room for it as soon as what leaves has left.
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
    """Compare.

    Args:
        wanted: every adapter version that has to be live, in the document's order.
        capacity: how many adapters the engine holds.
        path_of: the path from which each wanted one has to be loaded.
        seen: what is there.
    """
    right = {name for name, root in seen.loaded.items() if path_of.get(name) == root} - seen.spoiled
    usable = [adapter for adapter in wanted if adapter.served_name not in seen.broken]
    kept = [adapter for adapter in usable if adapter.served_name in right]
    fresh = [adapter for adapter in usable if adapter.served_name not in right]
    fitting, surplus = _split([*kept, *fresh], capacity)
    chosen = {adapter.served_name for adapter in fitting}
    leaving = [name for name in seen.loaded if name not in chosen or name not in right]
    loading = [adapter for adapter in fitting if adapter.served_name not in right]
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
