"""Asks sidecars and gates for their report: which policy and which adapters they have in use.

A pod is asked while its answer is not the wanted one, and again when any of its containers was restarted; at rest no
pod is asked.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
import pydantic
from agenttype_api import keys
from agenttype_api.gate_policy import GateReport
from agenttype_api.sidecar_report import PolicyReport
from agenttype_runtime.json_log import Log

from agenttype_operator.kube.kinds import Raw
from agenttype_operator.pods import pod_state

log = Log("report_client")

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0, sock_connect=1.0)
_MOST_BYTES: Final = 1 << 20
Report = TypeVar("Report", GateReport, PolicyReport)


@dataclass(frozen=True)
class Answer:
    """What a pod said, and in which run of its containers."""

    incarnation: str
    report: GateReport | PolicyReport


class ReportClient:
    """Asks, and remembers the answers of pods that live.

    Args:
        session: HTTP client; pods are asked with it and nothing else is.
        port: control port of sidecars and gates.
    """

    def __init__(self, session: aiohttp.ClientSession, port: int = keys.PORT_CONTROL) -> None:
        self._session = session
        self._port = port
        self._answers: dict[str, Answer] = {}
        self._asked: dict[str, str] = {}

    async def policies(self, found: Iterable[Raw], wanted: str) -> None:
        """Ask the sidecars of pods for their policy unless they already had the wanted one in use."""
        await self._ask(found, keys.POLICY_STATUS_PATH, PolicyReport, lambda report: report.policy_hash == wanted)

    async def gates(self, found: Iterable[Raw], settled: Callable[[GateReport], bool]) -> None:
        """Ask the gates of pods for their report unless the one they gave is settled."""
        await self._ask(found, keys.GATE_STATUS_PATH, GateReport, settled)

    def report(self, pod: Raw, kind: type[Report]) -> Report | None:
        """Return what this run of a pod's containers said last; None when it said nothing yet."""
        answer = self._answers.get(pod["metadata"]["uid"])
        if answer and answer.incarnation == pod_state.incarnation(pod) and isinstance(answer.report, kind):
            return answer.report
        return None

    def asked(self, pod: Raw) -> bool:
        """Whether this run of a pod's containers was asked at all, answered or not."""
        return self._asked.get(pod["metadata"]["uid"]) == pod_state.incarnation(pod)

    def heard(self, pod: Raw, report: PolicyReport) -> None:
        """Take in what a pod said unasked, or was asked elsewhere."""
        self._keep(pod, report)

    def forget(self, uid: str) -> None:
        """Drop what a pod said: it is gone."""
        self._answers.pop(uid, None)
        self._asked.pop(uid, None)

    async def _ask(
        self, found: Iterable[Raw], path: str, kind: type[Report], settled: Callable[[Report], bool]
    ) -> None:
        open_ = [pod for pod in found if not ((known := self.report(pod, kind)) and settled(known))]
        await asyncio.gather(*(self._ask_one(pod, path, kind) for pod in open_))

    async def _ask_one(self, pod: Raw, path: str, kind: type[Report]) -> None:
        host = pod_state.address(pod)
        if not host:
            return
        url = f"http://{f'[{host}]' if ':' in host else host}:{self._port}{path}"
        try:
            async with self._session.get(url, timeout=_TIMEOUT, allow_redirects=False) as response:
                body = await response.content.read(_MOST_BYTES)
                report = kind.model_validate_json(body)
        except (aiohttp.ClientError, TimeoutError, OSError, pydantic.ValidationError) as error:
            log.info("pod does not answer", pod=pod["metadata"]["name"], error=type(error).__name__)
            return
        finally:
            self._asked[pod["metadata"]["uid"]] = pod_state.incarnation(pod)
        self._keep(pod, report)

    def _keep(self, pod: Raw, report: GateReport | PolicyReport) -> None:
        """Keep an answer unless a newer one of the same run has overtaken it."""
        known = self.report(pod, PolicyReport)
        if isinstance(report, PolicyReport) and known and known.sequence > report.sequence:
            return
        self._answers[pod["metadata"]["uid"]] = Answer(pod_state.incarnation(pod), report)
