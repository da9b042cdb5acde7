"""The rules that applied recently, for the control API, the operator's Events and the metric; no matched text."""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from agenttype_api import sidecar_report
from agenttype_api.sidecar_report import Violation
from agenttype_api.v1alpha1 import RuleTarget
from agenttype_runtime.json_log import Log
from prometheus_client import CollectorRegistry, Counter

from agenttype_sidecar.rules.rulebook import Verdict

#: A subject that an agent has invented must not fill our memory.
_LONGEST_SUBJECT: Final = 256
_log = Log("rules")


class Stopper(Protocol):
    """Stops the agent for good."""

    def stop(self, reason: str) -> None:
        """Refuse all further calls and report why; a second reason changes nothing."""


class Violations:
    """Keeps the last violations, and reports them."""

    def __init__(self, registry: CollectorRegistry, stopper: Stopper, changed: Callable[[], None]) -> None:
        """Begin with none.

        Args:
            registry: where they are counted.
            stopper: what a rule with the action StopAgent calls.
            changed: called after every violation; wakes the requests that wait for the report.
        """
        self._stopper = stopper
        self._changed = changed
        self._last: deque[Violation] = deque(maxlen=sidecar_report.VIOLATIONS)
        self._sequence = 0
        self._count = Counter(
            "agenttype_violations",
            "Rules that applied, by what they did.",
            ("rule", "action", "applied_to"),
            registry=registry,
        )

    def note(self, verdict: Verdict, on: RuleTarget, subject: str) -> None:
        """Record every rule that applies, and stop the agent if one of them says so.

        Args:
            verdict: what the rulebook returned; without rules it changes nothing.
            on: the kind of message that was checked.
            subject: the served model, or `<server>/<tool>`.
        """
        if not verdict.rules:
            return
        subject = subject[:_LONGEST_SUBJECT]
        for rule in verdict.rules:
            self._sequence += 1
            self._last.append(
                Violation(
                    sequence=self._sequence,
                    at=time.time(),
                    rule=rule.name,
                    applied_to=on,
                    action=rule.action,
                    subject=subject,
                )
            )
            self._count.labels(rule.name, rule.action.value, on.value).inc()
            fields = {"rule": rule.name, "action": rule.action.value, "applied_to": on.value, "subject": subject}
            _log.warning("rule applies", **fields)
        if verdict.stops:
            self._stopper.stop(f"the rule {verdict.decisive.name!r} applies to {on.value}")
        self._changed()

    def last(self) -> tuple[Violation, ...]:
        """Return the last violations, oldest first."""
        return tuple(self._last)
