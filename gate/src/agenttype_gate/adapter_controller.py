"""The adapter controller: observes, plans, acts and reports, one turn after another until the process ends."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agenttype_api.gate_policy import AdapterReport, AdapterState, WantedAdapter
from agenttype_runtime.json_log import Log

from agenttype_gate import adapter_shapes, adapter_versions
from agenttype_gate.adapter_plan import Observed, Plan, plan
from agenttype_gate.adapter_store import AdapterStore
from agenttype_gate.document import DocumentFile, Snapshot
from agenttype_gate.engine import Engine, Served
from agenttype_gate.errors import AdapterFault, EngineAway, EngineLost, Rejected, Spoiled, VolumeTrouble
from agenttype_gate.metrics import Metrics
from agenttype_gate.preflight import Limits
from agenttype_gate.status import Status

_log = Log("adapter_controller")
#: The shortest pause between two turns, also used after an action: only the engine's own list shows its effect.
_AGAIN_SECONDS: Final = 0.05
#: The pause between two turns while there is something to wait for.
_WAIT_SECONDS: Final = 1.0
#: After so many engine failures while loading or probing one adapter, the adapter counts as the cause.
_STRIKES: Final = 3
#: After so many failed reads in a row the engine counts as away; if its port is closed, at once. A busy engine lists
#: its models slowly, and that is no reason to send it no calls.
_MISSES: Final = 3


@dataclass(frozen=True)
class Fault:
    """Why an adapter is not tried again, until one of these changes.

    Attributes:
        adapter: The wanted adapter.
        max_rank: The allowed rank.
        evidence: The state of the source's files.
        error: What happened.
    """

    adapter: WantedAdapter
    max_rank: int
    evidence: Hashable
    error: AdapterFault

    def holds(self, snapshot: Snapshot, evidence: Callable[[WantedAdapter], Hashable]) -> bool:
        """Return whether trying again would end the same way."""
        same = snapshot.wanted.get(self.adapter.served_name) == self.adapter
        return same and snapshot.document.max_rank == self.max_rank and evidence(self.adapter) == self.evidence


class AdapterController:
    """Makes loaded adapters equal to wanted ones, and reports the progress.

    `proven` holds the adapters that this controller has seen answering from the right path since they were loaded.
    """

    def __init__(
        self, document: DocumentFile, engine: Engine, store: AdapterStore, status: Status, metrics: Metrics
    ) -> None:
        self._document = document
        self._engine = engine
        self._store = store
        self._status = status
        self._metrics = metrics
        self._faults: dict[str, Fault] = {}
        self._proven: frozenset[str] = frozenset()
        self._spoiled: frozenset[str] = frozenset()
        self._lingering: frozenset[str] = frozenset()
        self._strikes: Counter[str] = Counter()
        self._begun: dict[str, float] = {}
        self._troubles: dict[str, str] = {}
        self._misses = 0

    async def run(self, rest_seconds: float, base_config: Path | None) -> None:
        """Take turns until cancelled: every second while there is work, else every `rest_seconds`; at once if woken."""
        cleaned = False
        while True:
            self._status.wake.clear()
            try:
                if not cleaned:
                    await asyncio.to_thread(self._store.clean)
                    cleaned = True
                seconds = await self._turn(base_config)
            except OSError as error:
                _log.error("volume", error=str(error.strerror))
                seconds = _WAIT_SECONDS
            await asyncio.sleep(_AGAIN_SECONDS)  # even if it is woken at once
            try:
                async with asyncio.timeout(rest_seconds if seconds is None else min(seconds, rest_seconds)):
                    await self._status.wake.wait()
            except TimeoutError:
                pass

    async def _turn(self, base_config: Path | None) -> float | None:
        """Do what can be done now; return the seconds to the next turn, None if nothing is left to do."""
        snapshot = self._document.current
        if snapshot is None:
            return _WAIT_SECONDS
        try:
            served = await self._engine.served()
            self._misses = 0
        except EngineLost as error:
            self._misses += 1
            if self._misses >= _MISSES:
                self._engine_away(snapshot, error)
            return _WAIT_SECONDS
        except EngineAway as error:
            self._engine_away(snapshot, error)
            return _WAIT_SECONDS
        return await self._act(snapshot, served, base_config)

    async def _act(self, snapshot: Snapshot, served: Served, base_config: Path | None) -> float | None:
        self._status.engine_ready = snapshot.document.base_model in served.base
        await self._review_faults(snapshot)
        next_plan = await self._plan(snapshot, served)
        self._report(snapshot, next_plan)
        try:
            well = await self._remove(next_plan)
            limits = Limits(snapshot.document.max_rank, await _base(base_config) if next_plan.bring else None)
            for adapter in next_plan.bring:
                well = await self._bring(snapshot, adapter, served, limits) and well
                self._report(snapshot, next_plan)
        except EngineAway as error:  # the next turn shows whether it is away or only busy
            _log.warning("engine", error=str(error))
            return _WAIT_SECONDS
        if next_plan.at_rest and self._status.engine_ready:
            return None
        return 0 if next_plan.acts and well else _WAIT_SECONDS

    def _engine_away(self, snapshot: Snapshot, error: EngineAway) -> None:
        if self._status.engine_ready:
            _log.warning("engine away", error=str(error))
        self._status.engine_ready = self._status.complete = False
        self._proven = frozenset()
        # A restarted engine may accept it, unless the adapter was the cause of the failure.
        self._faults = {
            name: fault
            for name, fault in self._faults.items()
            if not isinstance(fault.error, Rejected) or self._strikes[name] >= _STRIKES
        }
        self._report(snapshot, Plan())

    async def _review_faults(self, snapshot: Snapshot) -> None:
        def still() -> dict[str, Fault]:
            return {name: fault for name, fault in self._faults.items() if fault.holds(snapshot, self._store.evidence)}

        if self._faults:
            self._faults = await asyncio.to_thread(still)

    async def _plan(self, snapshot: Snapshot, served: Served) -> Plan:
        paths = {}
        for name, adapter in snapshot.wanted.items():
            try:
                paths[name] = self._store.path(name)
            except Rejected as error:
                self._fault(snapshot, adapter, self._store.evidence(adapter), error)
        document = snapshot.document
        room = document.max_adapters - len(document.adapters)
        lingering = adapter_versions.kept(snapshot.replaced, served.adapters, room, time.monotonic())
        self._lingering = frozenset(adapter.served_name for adapter in lingering)
        paths |= {name: self._store.path(name) for name in self._lingering}
        folders = await asyncio.to_thread(self._store.folders)
        self._proven &= {name for name, path in paths.items() if served.adapters.get(name) == path}
        self._troubles = {name: said for name, said in self._troubles.items() if name in paths}
        self._spoiled &= served.adapters.keys() | folders.keys()
        seen = Observed(
            loaded=served.adapters,
            proven=self._proven,
            spoiled=self._spoiled,
            broken=frozenset(self._faults),
            busy=self._status.busy(),
            folders=folders,
        )
        return plan((*document.adapters, *lingering), document.max_adapters, paths, seen)

    async def _remove(self, next_plan: Plan) -> bool:
        """Unload and delete; return whether all went well."""
        for name in next_plan.unload:
            if name in self._status.busy():
                continue  # a call was admitted in the meantime; let it finish
            _log.info("unload", adapter=name)
            await self._engine.unload(name)
        well = True
        for name in next_plan.delete:
            _log.info("delete", adapter=name)
            try:
                await asyncio.to_thread(self._store.delete, name)
            except OSError as error:
                _log.error("delete", adapter=name, error=str(error.strerror))
                well = False
        return well

    async def _bring(self, snapshot: Snapshot, adapter: WantedAdapter, served: Served, limits: Limits) -> bool:
        """Fetch, load, prove; return whether all went well."""
        name = adapter.served_name
        loaded = name in served.adapters
        begun = self._begun.setdefault(name, time.monotonic())
        evidence = await asyncio.to_thread(self._store.evidence, adapter)
        try:
            await asyncio.to_thread(self._store.fetch, adapter, limits, loaded=loaded)
            self._troubles.pop(name, None)
            if not loaded:
                await self._engine.load(name, self._store.path(name))
            await self._prove(name)
        except EngineLost as error:
            self._strike(snapshot, adapter, evidence, error)
            raise
        except AdapterFault as error:
            self._fault(snapshot, adapter, evidence, error)
        except Spoiled as error:
            _log.warning("spoiled", adapter=name, error=str(error))
            self._spoiled |= {name}
        except VolumeTrouble as error:
            if self._troubles.get(name) != str(error):
                _log.warning("volume", adapter=name, error=str(error))
            self._troubles[name] = str(error)
        if name not in self._proven:
            return False
        self._strikes.pop(name, None)
        del self._begun[name]
        self._metrics.loaded(time.monotonic() - begun)
        _log.info("loaded", adapter=name)
        return True

    async def _prove(self, name: str) -> None:
        if (await self._engine.served()).adapters.get(name) != self._store.path(name):
            return  # the next turn sees this and plans for it
        prompt, completion = await self._engine.probe(name)
        self._metrics.probed(prompt, completion)
        self._proven |= {name}

    def _strike(self, snapshot: Snapshot, adapter: WantedAdapter, evidence: Hashable, error: EngineLost) -> None:
        self._strikes[adapter.served_name] += 1
        if self._strikes[adapter.served_name] >= _STRIKES:
            guilty = Rejected(f"the engine failed {_STRIKES} times while loading it; {error}")
            self._fault(snapshot, adapter, evidence, guilty)

    def _fault(self, snapshot: Snapshot, adapter: WantedAdapter, evidence: Hashable, error: AdapterFault) -> None:
        known = self._faults.get(adapter.served_name)
        if known is None or str(known.error) != str(error):
            _log.warning("fault", adapter=adapter.served_name, error=str(error))
        fault = Fault(adapter, snapshot.document.max_rank, evidence, error)
        self._faults[adapter.served_name] = fault
        self._begun.pop(adapter.served_name, None)

    def _report(self, snapshot: Snapshot, next_plan: Plan) -> None:
        surplus = {adapter.served_name for adapter in next_plan.surplus}
        waiting = {adapter.served_name for adapter in next_plan.waiting}
        reports = {}
        for name, adapter in snapshot.wanted.items():
            state, message = AdapterState.LOADING, self._troubles.get(name, "")
            fault = self._faults.get(name)
            if fault is not None:
                state, message = fault.error.state, str(fault.error)
            elif name in self._proven:
                state, message = AdapterState.LOADED, ""
            elif name in surplus:
                state = AdapterState.CAPACITY_EXCEEDED
                message = f"the engine holds {snapshot.document.max_adapters}; raise lora.maxAdapters"
            elif name in waiting:
                message = "waiting until an adapter that is no longer wanted has finished its calls"
            reports[name] = AdapterReport(name=adapter.name, served_name=name, state=state, message=message)
        self._status.reports = reports
        self._status.lingering = self._lingering & self._proven
        loading = {name for name, report in reports.items() if report.state is AdapterState.LOADING}
        if self._status.engine_ready and loading <= self._troubles.keys():
            self._status.complete = True


async def _base(config: Path | None) -> adapter_shapes.Base | None:
    """Read the base model's config if it is readable; that can change, because volumes may be filled late."""
    if config is None:
        return None
    try:
        return adapter_shapes.read(await asyncio.to_thread(config.read_bytes))
    except (OSError, ValueError):
        return None
