"""The gate document in use, and the watch over its file."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from agenttype_api.gate_policy import Caller, GatePolicy, WantedAdapter
from agenttype_runtime.json_log import Log
from agenttype_runtime.watched_file import WatchedFile
from pydantic import ValidationError

from agenttype_gate import adapter_versions
from agenttype_gate.adapter_versions import ReplacedVersion

_log = Log("document")
_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Snapshot:
    """One document with its indexes; a call or a turn of the controller uses one from its begin to its end.

    `replaced` holds, by served name, versions that this document wants no more but another version of.
    """

    document: GatePolicy
    hash: str
    replaced: Mapping[str, ReplacedVersion]

    @cached_property
    def callers(self) -> Mapping[str, Caller]:
        """Callers by ServiceAccount `namespace/name`."""
        return {caller.service_account: caller for caller in self.document.callers}

    @cached_property
    def wanted(self) -> Mapping[str, WantedAdapter]:
        """Wanted adapters by served name."""
        return {adapter.served_name: adapter for adapter in self.document.adapters}


class DocumentFile:
    """The document in use; swapped whole, between two steps of the loop.

    Attributes:
        current: None until a first document could be read.
        error: Why a newer document is refused; empty when none is.
    """

    def __init__(self, file: Path, linger: float, clock: Callable[[], float]) -> None:
        """Read nothing yet; versions that are replaced are kept for `linger` seconds of `clock`."""
        self.current: Snapshot | None = None
        self.error = "no document has been read yet"
        self._file = WatchedFile(file)
        self._linger = linger
        self._clock = clock
        self._read = False

    def look(self) -> bool:
        """Read the file if it is another one than last time; return whether another document is in use now."""
        if not self._file.has_changed() and self._read:
            return False
        try:
            raw = self._file.path.read_bytes()
        except OSError as error:
            self._refuse(f"the gate document cannot be read: {error.strerror}")
            self._read = False
            return False
        self._read = True
        try:
            document = GatePolicy.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            self._refuse(f"the gate document is refused: {place or 'document'}: {first['msg']}")
            return False
        self.error = ""
        before = self.current
        self.current = Snapshot(document, document.hash(), self._replaced(before, document))
        changed = before is None or before.hash != self.current.hash
        if changed:
            _log.info("policy", hash=self.current.hash, adapters=len(document.adapters))
        return changed

    async def watch(self, changed: asyncio.Event) -> None:
        """Look twice a second, for ever; set `changed` after each swap.

        A stat is all that a look costs. The kubelet swaps a symbolic link above the file, which changes its inode.
        """
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self.look():
                changed.set()

    def _replaced(self, before: Snapshot | None, document: GatePolicy) -> Mapping[str, ReplacedVersion]:
        if before is None:
            return {}
        wanted = {adapter.served_name: adapter for adapter in document.adapters}
        return adapter_versions.replaced(wanted, before.wanted, before.replaced, self._clock() + self._linger)

    def _refuse(self, error: str) -> None:
        if error != self.error:
            _log.warning("policy refused", error=error)
        self.error = error
