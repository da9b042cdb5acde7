"""Stops an agent for good: nothing is sent any more until its policy changes, even after restarts."""

from agenttype_runtime.json_log import Log

from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.budget.ledger import Ledger, Stopped
from agenttype_sidecar.errors import AgentStopped, LedgerUnavailable
from agenttype_sidecar.policy.policies import Policies

_log = Log("agent_stop")


class AgentStop:
    """Whether the agent was stopped."""

    def __init__(self, ledger: Ledger, policies: Policies, cancellation: Cancellation) -> None:
        """Stop running calls with `cancellation`, and record the stop in `ledger` for the policy in use."""
        self._ledger = ledger
        self._policies = policies
        self._cancellation = cancellation

    @property
    def reason(self) -> str:
        """Why the agent must stop; empty while it need not."""
        stopped = self._ledger.stopped
        return stopped.reason if stopped is not None and stopped.policy == self._policies.active.hash else ""

    def check(self) -> None:
        """Refuse a new call if the agent was stopped.

        Raises:
            AgentStopped: The agent was stopped.
        """
        if self._ledger.stopped is not None and self.reason:
            raise self._refusal()

    def stop(self, reason: str) -> None:
        """End all calls and refuse new ones; `reason` is for people. A second reason changes nothing."""
        if self.reason:
            return
        try:
            self._ledger.stop(Stopped(self._policies.active.hash, reason))
        except LedgerUnavailable:
            _log.error("stop not recorded", reason=reason)
        _log.warning("agent stopped", reason=reason)
        self._cancellation.cut(self._refusal)

    def _refusal(self) -> AgentStopped:
        return AgentStopped(f"the agent was stopped and may make no more calls until its policy changes: {self.reason}")
