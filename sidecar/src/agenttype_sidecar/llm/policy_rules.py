"""Checks a call and its answer against the rules of the policy that it began with."""

import time

from agenttype_api.v1alpha1 import RuleTarget
from agenttype_proxy.sse import Event

from agenttype_sidecar.errors import RuleViolated
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.policy.policies import Active
from agenttype_sidecar.rules import message_texts
from agenttype_sidecar.rules.rulebook import Message, StreamWatcher, Verdict
from agenttype_sidecar.telemetry.violations import Violations


def check_request(call: LlmCall, active: Active, violations: Violations) -> None:
    """Refuse a call that a rule forbids.

    Raises:
        RuleViolated: A rule does.
    """
    if not active.rulebook.looks_at(RuleTarget.LLM_REQUEST):
        return
    body = call.body
    message = Message(
        RuleTarget.LLM_REQUEST, (call.requested_model,), body.size, lambda: message_texts.of_value(body.members)
    )
    verdict = active.rulebook.check(message, time.monotonic())
    if verdict.rules:
        _enforce(verdict, RuleTarget.LLM_REQUEST, call, violations)


def check_answer(body: bytes, call: LlmCall, active: Active, violations: Violations) -> None:
    """Refuse a whole answer that a rule forbids.

    Raises:
        RuleViolated: A rule does.
    """
    if not active.rulebook.looks_at(RuleTarget.LLM_RESPONSE):
        return
    message = Message(RuleTarget.LLM_RESPONSE, (call.requested_model,), len(body), lambda: message_texts.of_body(body))
    verdict = active.rulebook.check(message, time.monotonic())
    if verdict.rules:
        _enforce(verdict, RuleTarget.LLM_RESPONSE, call, violations)


def inspector(call: LlmCall, active: Active, violations: Violations) -> "Inspection | None":
    """Return the inspector of a streamed answer, None if no rule concerns it."""
    watcher = active.rulebook.watch(Message(RuleTarget.LLM_RESPONSE, (call.requested_model,)), time.monotonic())
    return None if watcher is None else Inspection(watcher, call, violations)


class Inspection:
    """Checks every event of a streamed answer before the caller gets it."""

    def __init__(self, watcher: StreamWatcher, call: LlmCall, violations: Violations) -> None:
        self._watcher = watcher
        self._call = call
        self._violations = violations

    def event(self, event: Event) -> None:
        """Check the next event.

        Raises:
            RuleViolated: It must not be passed on, nor anything after it.
        """
        verdict = self._watcher.passed(event)
        if verdict.rules:
            _enforce(verdict, RuleTarget.LLM_RESPONSE, self._call, self._violations)


def _enforce(verdict: Verdict, on: RuleTarget, call: LlmCall, violations: Violations) -> None:
    violations.note(verdict, on, call.target.model)
    if verdict.denies:
        raise RuleViolated(verdict.decisive.name)
