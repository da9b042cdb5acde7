"""What sidecars say about violations, correlated into Events: pure, the time is an argument.

A pod's violations of one rule in one minute become one Event. It is posted with the first of them; when the minute is
over, its series says how many they were. Its name follows from pod, rule and minute, so that an operator that restarts
posts none twice.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from agenttype_api.sidecar_report import PolicyReport, Violation

from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.pods import pod_state

#: What an operator finds at its start older than this was posted by another before; Events live an hour.
OLDEST: Final = 1800.0
_MINUTE: Final = 60.0
#: How long after its end a minute may still grow: news take a moment.
_LATE: Final = 5.0


class SeriesKey(NamedTuple):
    """Names one Event."""

    pod: str
    """Its uid."""
    rule: str
    minute: int

    def name(self, agent: str) -> str:
        """Name of the Event."""
        digest = hashlib.sha256("\0".join((self.pod, self.rule, str(self.minute))).encode()).hexdigest()
        return f"{agent}.{digest[:16]}"

    def over(self, now: float) -> bool:
        """Whether the minute is over, and all news of it are in."""
        return now >= self.end

    @property
    def end(self) -> float:
        """When it is over."""
        return (self.minute + 1) * _MINUTE + _LATE


@dataclass
class Series:
    """Violations of one rule on one pod in one minute."""

    owner: Key
    pod: Raw
    last: Violation
    at: float
    """When the last one was, by our clock at the latest."""
    count: int = 0
    posted: int = 0
    """How many of them the Event tells of; 0 before it exists."""

    def note(self) -> str:
        """Say what happened, never what was found."""
        last = self.last
        return f'rule "{last.rule}" applied to {last.applied_to} "{last.subject}" of pod "{self.name}": {last.action}'

    @property
    def name(self) -> str:
        """Name of the pod."""
        return str(self.pod["metadata"]["name"])


@dataclass
class ViolationCorrelator:
    """Violations that are to be posted."""

    _series: dict[SeriesKey, Series] = field(default_factory=dict)
    _counted: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Per pod's uid: in key run of its containers, and the sequence of the last violation that is counted."""

    def __len__(self) -> int:
        """Series that are not finished."""
        return len(self._series)

    def take(self, pod: Raw, report: PolicyReport, now: float) -> None:
        """Count what is new in a report."""
        owner = kinds.user_of(pod)
        if owner is None or not report.violations:
            return
        uid = pod["metadata"]["uid"]
        incarnation, counted = self._counted.get(uid, ("", 0))
        if incarnation != pod_state.incarnation(pod):
            counted = 0
        for violation in report.violations:
            if violation.sequence <= counted or violation.at < now - OLDEST:
                continue
            at = min(
                now, violation.at
            )  # a clock may be ahead, or say nothing at all; of no number, min keeps the first
            key = SeriesKey(uid, violation.rule, int(at // _MINUTE))
            series = self._series.setdefault(key, Series(owner, pod, violation, at))
            series.count += 1
            series.last, series.at = violation, at
        newest = max(violation.sequence for violation in report.violations)
        self._counted[uid] = (pod_state.incarnation(pod), max(counted, newest))

    def due(self, now: float) -> Iterator[tuple[SeriesKey, Series]]:
        """Yield what has to be posted or told; drop what is finished."""
        for key, series in list(self._series.items()):
            if series.posted == 0 or (key.over(now) and series.posted < series.count):
                yield key, series
            elif key.over(now):
                del self._series[key]

    def next_due(self) -> float | None:
        """When there is something to do next; None when nothing waits."""
        if any(series.posted == 0 for series in self._series.values()):
            return 0.0
        return min((key.end for key in self._series), default=None)

    def drop(self, key: SeriesKey) -> None:
        """Forget a series: there is nothing left to post."""
        self._series.pop(key, None)

    def forget(self, uid: str) -> None:
        """Forget what is counted of a pod that is gone; what is not posted yet still will be."""
        self._counted.pop(uid, None)
