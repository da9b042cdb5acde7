"""The state that the controller and the front proxy share: which adapters are live, and which are in use."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from agenttype_api.gate_policy import AdapterReport, AdapterState

from agenttype_gate import adapter_versions
from agenttype_gate.document import Snapshot
from agenttype_gate.errors import AdapterUnusable, NoSuchModel, Warming


class Status:
    """One process's state.

    Only the front proxy counts calls; only the controller writes `engine_ready`, `complete`, `reports` and `lingering`.

    Attributes:
        engine_ready: Whether the engine answers and serves the base model of the document.
        complete: Whether, since the engine came up, every wanted adapter was live or had failed at least once.
        reports: The report on every wanted adapter, by served name.
        lingering: Served names that are live although another version has replaced them.
        wake: Set when the controller should take a turn now: a new document, a doubt, a last call done.
        leaving: Whether the process is ending.
    """

    def __init__(self) -> None:
        self.engine_ready = False
        self.complete = False
        self.reports: Mapping[str, AdapterReport] = {}
        self.lingering: frozenset[str] = frozenset()
        self.wake = asyncio.Event()
        self.leaving = False
        self._calls: Counter[str] = Counter()

    def admit(self, snapshot: Snapshot, model: str) -> None:
        """Return if a call for a served name can be sent now.

        Raises:
            NoSuchModel: It is neither the base model nor a wanted adapter.
            Warming: It will be live soon.
            AdapterUnusable: Waiting will not help.
        """
        known = model == snapshot.document.base_model or model in snapshot.wanted
        if not known and not adapter_versions.is_version_of(model, snapshot.wanted):
            raise NoSuchModel("there is no such model for this caller")
        if not self.engine_ready:
            raise Warming("the engine is not up yet")
        if model in self.lingering:
            return
        if not known:
            raise Warming("this version of the adapter is not known here; another one is being rolled out")
        if model == snapshot.document.base_model:
            return
        report = self.reports.get(model)
        if report is None or report.state is AdapterState.LOADING:
            raise Warming("the adapter is being loaded")
        if report.state is not AdapterState.LOADED:
            raise AdapterUnusable(f"the adapter cannot be served ({report.state}); see the status of its LoraAdapter")

    @contextmanager
    def call(self, model: str) -> Iterator[None]:
        """Count a call in flight; enter it right after `admit`, without awaiting, so that no unload comes between."""
        self._calls[model] += 1
        try:
            yield
        finally:
            self._calls[model] -= 1
            if not self._calls[model]:
                del self._calls[model]
                if model not in self.reports and model not in self.lingering:
                    self.wake.set()

    def busy(self) -> frozenset[str]:
        """Return the served names with calls in flight."""
        return frozenset(self._calls)

    def doubt(self) -> None:
        """Record that the engine did not answer as it should; the controller then takes a turn at once."""
        self.wake.set()
