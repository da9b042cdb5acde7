"""A finding is a condition without its time; here findings become the conditions of a status: pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agenttype_api.conditions import Condition, Reason

TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"

#: Reasons that something is under way; they change by themselves and are not worth an Event.
_WAITING: Final = {Reason.PENDING, Reason.PROGRESSING, Reason.LOADING, Reason.NOT_PROBED, Reason.NOT_READY}
_MESSAGE_LENGTH: Final = 4096


@dataclass(frozen=True)
class Finding:
    """What was found about one condition."""

    type: Condition
    status: str
    reason: Reason
    message: str

    @property
    def holds(self) -> bool:
        """Whether the condition is met."""
        return self.status == TRUE


def yes(type_: Condition, reason: Reason, message: str) -> Finding:
    """Find that a condition holds."""
    return Finding(type_, TRUE, reason, message)


def no(type_: Condition, reason: Reason, message: str) -> Finding:
    """Find that a condition does not hold."""
    return Finding(type_, FALSE, reason, message)


def unknown(type_: Condition, reason: Reason, message: str) -> Finding:
    """Find that it cannot be told."""
    return Finding(type_, UNKNOWN, reason, message)


def with_ready(findings: Sequence[Finding]) -> list[Finding]:
    """Add Ready: all hold, or the message of the first that does not."""
    for finding in findings:
        if not finding.holds:
            message = f"{finding.type}: {finding.message}"
            return [*findings, no(Condition.READY, Reason.NOT_READY, message)]
    return [*findings, yes(Condition.READY, Reason.READY, "everything holds")]


def as_conditions(
    before: Iterable[dict[str, Any]], findings: Iterable[Finding], generation: int, now: str
) -> list[Any]:
    """Write findings as conditions; a time moves only when its status does.

    Args:
        before: the conditions so far.
        findings: what was found, in the order in which it shall be shown.
        generation: generation of the spec that was looked at.
        now: RFC 3339.
    """
    old = {condition["type"]: condition for condition in before}
    conditions = []
    for finding in findings:
        same = old.get(finding.type, {}).get("status") == finding.status
        conditions.append(
            {
                "type": str(finding.type),
                "status": finding.status,
                "observedGeneration": generation,
                "lastTransitionTime": old[finding.type]["lastTransitionTime"] if same else now,
                "reason": str(finding.reason),
                "message": finding.message[:_MESSAGE_LENGTH],
            }
        )
    return conditions


def worth_an_event(before: Iterable[dict[str, Any]], findings: Iterable[Finding]) -> list[Finding]:
    """Pick changes of status or reason, but neither waiting nor a first success."""
    old = {condition["type"]: (condition["status"], condition["reason"]) for condition in before}
    return [
        finding
        for finding in findings
        if old.get(finding.type) != (finding.status, finding.reason)
        and finding.reason not in _WAITING
        and not (finding.type not in old and finding.holds)
    ]
