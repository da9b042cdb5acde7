"""What the control API can see of a running sidecar: typed values, read at each request."""

import time
from dataclasses import dataclass
from typing import NamedTuple

from agenttype_api.policy import Identity
from agenttype_api.sidecar_report import PolicyReport, Violation
from agenttype_api.v1alpha1 import OnExhausted, OnLimit

from agenttype_sidecar.admission.agent_stop import AgentStop
from agenttype_sidecar.budget.limit_status import BudgetRow, LimitStatus
from agenttype_sidecar.control.gauges import Gauges
from agenttype_sidecar.control.report_changes import Changes
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.telemetry.activity import Activity
from agenttype_sidecar.telemetry.call_log import CallLog, CallRecord
from agenttype_sidecar.telemetry.violations import Violations


@dataclass(frozen=True, slots=True)
class BudgetTable:
    """All limits, with what is spent, held and left of each."""

    on_limit: OnLimit
    on_exhausted: OnExhausted
    rows: tuple[BudgetRow, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The sidecar itself.

    Attributes:
        identity: Whose sidecar it is.
        policy: Which policy is in use.
        ready: Whether it takes calls.
        draining: Whether it is ending.
        running: Calls that are running now.
        wall_seconds: Since its start.
        busy_seconds: Of these, with at least one call running.
        utilization: Busy over wall, 0 to 1.
        charged_at_start: Calls that a former process left open, charged in full.
    """

    identity: Identity
    policy: PolicyReport
    ready: bool
    draining: bool
    running: int
    wall_seconds: float
    busy_seconds: float
    utilization: float
    charged_at_start: int


@dataclass(slots=True)
class Lifecycle:
    """How far the process is; set by `app` and the health port."""

    ready: bool = False
    draining: bool = False


class Sources(NamedTuple):
    """The parts that are observed."""

    policies: Policies
    limit_status: LimitStatus
    agent_stop: AgentStop
    violations: Violations
    calls: CallLog
    activity: Activity
    life: Lifecycle


class Observations:
    """Reads the parts of a sidecar; the control API gets this and nothing else.

    Attributes:
        life: Whether the sidecar takes calls, or drains.
        changes: The requests that wait for the policy report to change.
    """

    def __init__(self, sources: Sources) -> None:
        self.changes = Changes()
        self._sources = sources
        self._policies = sources.policies
        self._activity = sources.activity
        self.life = sources.life

    def calls(self) -> tuple[CallRecord, ...]:
        """Return the calls of the last minutes, oldest first."""
        return self._sources.calls.last()

    def budget(self) -> BudgetTable:
        """Return the budget table of the policy in use."""
        budget = self._policies.active.policy.budget
        return BudgetTable(budget.on_limit, budget.on_exhausted, self.rows())

    def rows(self) -> tuple[BudgetRow, ...]:
        """Return the rows of the budget table."""
        budget = self._policies.active.policy.budget
        return self._sources.limit_status.rows(budget.limits, budget.warn_at_percent)

    def violations(self) -> tuple[Violation, ...]:
        """Return the rules that applied recently, oldest first."""
        return self._sources.violations.last()

    def policy_report(self) -> PolicyReport:
        """Return which policy is in use, and its effects; a changed report has a new sequence."""
        sources, active = self._sources, self._policies.active
        report = PolicyReport(
            policy_hash=active.hash,
            error=self._policies.error,
            exhausted=sources.limit_status.exhausted(active.limits),
            nats_error=sources.limit_status.shared.error,
            stopped=sources.agent_stop.reason,
            violations=sources.violations.last(),
        )
        return self.changes.numbered(report)

    async def changed_report(self, after: int, wait: float) -> PolicyReport:
        """Return the report once its sequence has passed `after`, or after `wait` seconds."""
        self.policy_report()
        await self.changes.passed(after, wait)
        return self.policy_report()

    def status(self) -> Status:
        """Return the state of the sidecar itself."""
        now = time.monotonic()
        return Status(
            identity=self._policies.active.policy.identity,
            policy=self.policy_report(),
            ready=self.life.ready and not self.life.draining,
            draining=self.life.draining,
            running=self._activity.running,
            wall_seconds=self._activity.wall(now),
            busy_seconds=self._activity.busy(now),
            utilization=self._activity.utilization(now),
            charged_at_start=self._sources.limit_status.ledger.orphans.calls,
        )

    def gauges(self) -> Gauges:
        """Return what a scrape reads."""
        now = time.monotonic()
        return Gauges(
            rows=self.rows(),
            nats_reachable=self._sources.limit_status.shared.is_reachable,
            policy_hash=self._policies.active.hash,
            policy_current=not self._policies.error,
            wall_seconds=self._activity.wall(now),
            busy_seconds=self._activity.busy(now),
            utilization=self._activity.utilization(now),
            draining=self.life.draining,
        )
