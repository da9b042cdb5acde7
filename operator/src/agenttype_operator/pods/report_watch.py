"""Watches the reports of sidecars: one long poll per running pod, and silence while nothing happens.

A pod costs one connection, which says nothing until its sidecar has news, and a task that waits for it. A raw stream is
used because a client of its own per pod would cost several times the memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agenttype_api import keys
from agenttype_api.sidecar_report import PolicyReport
from agenttype_runtime.json_log import Log

from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods import pod_state

log = Log("report_watch")

_MOST_HEAD: Final = 1 << 14
_MOST_BODY: Final = 1 << 20

Heard = Callable[[Key, Raw, PolicyReport], None]


@dataclass(frozen=True)
class Timing:
    """How patient a watch is, in seconds."""

    wait: float = 240.0
    """How long a sidecar may hold its answer back."""
    grace: float = 15.0
    """How much later the answer may arrive; a connection that is silent for longer is dead."""
    connect: float = 5.0
    pause: float = 1.0
    """The least time between two questions to a pod, however much happens there."""
    longest: float = 60.0
    """The longest time between two tries to reach a pod."""


class _Unreadable(Exception):  # noqa: N818 — a finding about a pod
    """What answered is no sidecar of ours; try again later."""


class ReportWatch:
    """Watches sidecars.

    Args:
        heard: called with the owner, the pod and the report when a pod has said something else than before.
        jitter: returns a factor near 1 by which each delay is stretched, so that pods are not asked in step.
        port: control port of sidecars.
        timing: how patient to be.
    """

    def __init__(
        self, heard: Heard, jitter: Callable[[], float], port: int = keys.PORT_CONTROL, timing: Timing | None = None
    ) -> None:
        self._heard = heard
        self._jitter = jitter
        self._port = port
        self._timing = timing or Timing()
        self._watched: dict[Key, dict[str, tuple[str, asyncio.Task[None]]]] = {}
        """Owner → uid of a pod → in which run of its containers, and by which task, it is watched."""
        self._owners: dict[str, Key] = {}

    def __len__(self) -> int:
        """Pods that are watched."""
        return len(self._owners)

    def follow(self, owner: Key, running: Sequence[Raw]) -> None:
        """Watch exactly these pods of an owner, each in its present run."""
        wanted = {pod["metadata"]["uid"]: pod for pod in running if pod_state.address(pod)}
        for uid, (incarnation, _) in list(self._watched.get(owner, {}).items()):
            if uid not in wanted or incarnation != pod_state.incarnation(wanted[uid]):
                self.forget(uid)
        known = self._watched.get(owner, {})
        for uid, pod in wanted.items():
            if uid not in known:
                task = asyncio.create_task(self._watch(owner, pod))
                task.add_done_callback(_tell_failure)
                self._watched.setdefault(owner, {})[uid] = (pod_state.incarnation(pod), task)
                self._owners[uid] = owner

    def forget(self, uid: str) -> None:
        """Stop watching a pod."""
        owner = self._owners.pop(uid, None)
        if owner is None:
            return
        _, task = self._watched[owner].pop(uid)
        task.cancel()
        if not self._watched[owner]:
            del self._watched[owner]

    async def close(self) -> None:
        """Stop watching all pods."""
        tasks = [task for watched in self._watched.values() for _, task in watched.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watched.clear()
        self._owners.clear()

    async def _watch(self, owner: Key, pod: Raw) -> None:
        """Hear one run of a pod until cancelled, whatever happens there."""
        last: PolicyReport | None = None
        tries = self._delays()
        while True:
            try:
                async with contextlib.aclosing(self._reports(pod_state.address(pod))) as reports:
                    async for report in reports:
                        tries = self._delays()
                        if report != last:
                            last = report
                            self._heard(owner, pod, report)
            except (OSError, EOFError, TimeoutError, _Unreadable) as error:
                log.debug("pod not heard", pod=pod["metadata"]["name"], error=type(error).__name__)
            await asyncio.sleep(next(tries))

    def _delays(self) -> Iterator[float]:
        delay = self._timing.pause
        while True:
            yield delay * self._jitter()
            delay = min(self._timing.longest, delay * 2)

    async def _reports(self, host: str) -> AsyncGenerator[PolicyReport, None]:
        """Yield what a sidecar says, over one connection: what is so now, then each change."""
        async with asyncio.timeout(self._timing.connect):
            reader, writer = await asyncio.open_connection(host, self._port, limit=_MOST_HEAD)
        try:
            report = await self._ask(reader, writer, host, "", self._timing.connect)
            while True:
                yield report
                await asyncio.sleep(self._timing.pause * self._jitter())
                wait = self._timing.wait * self._jitter()
                query = f"?after={report.sequence}&wait={wait:.0f}"
                report = await self._ask(reader, writer, host, query, wait + self._timing.grace)
        finally:
            writer.close()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, query: str, seconds: float
    ) -> PolicyReport:
        name = f"[{host}]" if ":" in host else host
        writer.write(f"GET {keys.POLICY_STATUS_PATH}{query} HTTP/1.1\r\nHost: {name}:{self._port}\r\n\r\n".encode())
        try:
            async with asyncio.timeout(seconds):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(_length(head))
            return PolicyReport.model_validate_json(body)
        except (asyncio.LimitOverrunError, ValueError) as error:
            raise _Unreadable(str(error)) from error


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Log what ended a watch that should have no end: no other task awaits it."""
    if not task.cancelled() and (error := task.exception()):
        log.error("watch ended", exc_info=error)


def _length(head: bytes) -> int:
    """Return the length of an answer's body; ours always say it."""
    status, *fields = head.decode("latin-1").split("\r\n")
    if status.split(" ")[1:2] != ["200"]:
        raise _Unreadable(status)
    for field in fields:
        name, _, value = field.partition(":")
        if name.lower() == "content-length" and value.strip().isdecimal() and int(value) <= _MOST_BODY:
            return int(value)
    raise _Unreadable("no length")
