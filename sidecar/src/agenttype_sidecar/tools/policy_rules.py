"""Checks a tool call and its result against the rules of the policy that it began with."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from agenttype_api.v1alpha1 import RuleTarget
from agenttype_proxy.sse import Event

from agenttype_sidecar.errors import RuleViolated
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.rules import message_texts
from agenttype_sidecar.rules.rulebook import Message, Rulebook, StreamWatcher, Verdict
from agenttype_sidecar.telemetry.violations import Violations

#: Members of a message that the protocol names; the agent chose all others.
_OF_PROTOCOL: Final = frozenset({"jsonrpc", "id", "method", "params", "name", "arguments", "_meta"})
_CONSTANT: Final = frozenset({"jsonrpc", "method"})


class RuleChecks:
    """Checks calls against the rules of the policy in use."""

    def __init__(self, policies: Policies, violations: Violations) -> None:
        self._policies = policies
        self._violations = violations

    def call(self, server: str, tool: str, size: int, said: Callable[[], Iterable[str]]) -> "RuleCheck":
        """Check a call before it is sent; return the check for its result.

        Args:
            server: the tool's server.
            tool: the tool's own name; for an HTTP API, method and path.
            size: bytes of its message.
            said: returns all its texts; called only if a rule has a pattern.

        Raises:
            RuleViolated: A rule forbids it.
        """
        rulebook = self._policies.active.rulebook
        rule_check = RuleCheck(rulebook, self._violations, server, tool)
        if rulebook.looks_at(RuleTarget.TOOL_CALL):
            message = Message(RuleTarget.TOOL_CALL, rule_check.names, size, said)
            rule_check.enforce(rulebook.check(message, time.monotonic()), RuleTarget.TOOL_CALL)
        return rule_check

    def stream(self, server: str) -> "RuleCheck":
        """Return the check for a stream of a server on which results of any of its tools can arrive."""
        return RuleCheck(self._policies.active.rulebook, self._violations, server, "")


class RuleCheck:
    """Checks the result of one call."""

    def __init__(self, rulebook: Rulebook, violations: Violations, server: str, tool: str) -> None:
        self.names = (tool, f"{server}/{tool}")
        self._rulebook = rulebook
        self._violations = violations
        self._watcher: StreamWatcher | None = None
        self._watching = False
        #: Called before a rule ends the call, so that a rule that stops the agent does not cut this call too.
        self.leave: Callable[[], None] = lambda: None

    @property
    def looks_at_results(self) -> bool:
        """Whether any rule checks results; they must then be read before they are passed on."""
        return self._rulebook.looks_at(RuleTarget.TOOL_RESULT)

    def result(self, body: bytes) -> None:
        """Check a whole result.

        Raises:
            RuleViolated: It must not be passed on.
        """
        if self._watching:  # it came as the last event of a stream
            self.event(Event(body, b"", body))
        elif self.looks_at_results:
            message = Message(RuleTarget.TOOL_RESULT, self.names, len(body), lambda: message_texts.of_body(body))
            self.enforce(self._rulebook.check(message, time.monotonic()), RuleTarget.TOOL_RESULT)

    def event(self, event: Event) -> None:
        """Check the next event of a streamed result.

        Raises:
            RuleViolated: It must not be passed on, nor anything after it.
        """
        if not self._watching:
            self._watching = True
            self._watcher = self._rulebook.watch(Message(RuleTarget.TOOL_RESULT, self.names), time.monotonic())
        if self._watcher is not None:
            self.enforce(self._watcher.passed(event), RuleTarget.TOOL_RESULT)

    def enforce(self, verdict: Verdict, on: RuleTarget) -> None:
        """Record the rules that apply, and refuse what they forbid.

        Raises:
            RuleViolated: They forbid it.
        """
        if not verdict.rules:
            return
        if verdict.denies:
            self.leave()
        self._violations.note(verdict, on, self.names[1])
        if verdict.denies:
            raise RuleViolated(verdict.decisive.name)


def texts_of(message: dict[str, Any]) -> Iterator[str]:
    """Yield the texts of a JSON-RPC message, including the names that its sender chose."""
    params = message.get("params")
    if isinstance(params, dict):
        yield from _members(params)
        message = {name: value for name, value in message.items() if name != "params"}
    yield from _members(message)


def _members(members: dict[str, Any]) -> Iterator[str]:
    for name, value in members.items():
        if name not in _OF_PROTOCOL:
            yield name
        if name not in _CONSTANT:
            yield from message_texts.of_value(value, open_names=True)
