"""What there is to see of a running sidecar, for the control API: typed values, read when asked."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from agenttype_api.policy import Identity
from agenttype_api.sidecar_report import PolicyReport, Violation
from agenttype_api.v1alpha1 import OnExhausted, OnLimit

from agenttype_sidecar.budget.halt import Halt
from agenttype_sidecar.budget.table import Row, Table
from agenttype_sidecar.policies import Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.changes import Changes
from agenttype_sidecar.reports.metrics import Gauges
from agenttype_sidecar.reports.violations import Violations

#: How long a call stays visible, and how many do.
CALL_SECONDS: Final = 600
CALLS: Final = 1000


class CallRecord(NamedTuple):
    """One LLM call that has ended.

    Attributes:
        at: Unix seconds of its end.
        path: Path of the operation, without base and query.
        model: Served model; "other" where no route was found.
        adapter: Alias of the adapter, empty without one.
        protocol: OpenAI or Anthropic.
        outcome: ok, refused, upstream_error, cut or caller_gone.
        status: What the caller was answered; 499 where it had left.
        reason: Why, for all outcomes but ok.
        input: Input tokens charged.
        output: Output tokens charged.
        cost: Nano-dollars charged.
        usage_source: provider, counted, estimated or reserved; empty where nothing was charged.
        seconds: From its arrival to its end.
        first_byte: Seconds from its arrival to the first byte of the answer, None without one.
        clamped: Whether its answer was bounded by what was left.
        attempts: How often it was sent, the last one included.
    """

    at: float
    path: str
    model: str
    adapter: str
    protocol: str
    outcome: str
    status: int
    reason: str
    input: int
    output: int
    cost: int
    usage_source: str
    seconds: float
    first_byte: float | None
    clamped: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class BudgetTable:
    """The limits with what is spent, held and left of each."""

    on_limit: OnLimit
    on_exhausted: OnExhausted
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The sidecar itself.

    Attributes:
        identity: Whose sidecar it is.
        policy: Which policy is in use.
        ready: Whether it takes calls.
        draining: Whether it was told to end.
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
class Life:
    """How far the process is; `app` and the health port set it."""

    ready: bool = False
    draining: bool = False


class Sources(NamedTuple):
    """What is observed."""

    policies: Policies
    table: Table
    halt: Halt
    violations: Violations
    activity: Activity
    life: Life


class Observations:
    """Reads the parts of a sidecar; the control API gets this and nothing else.

    Attributes:
        changes: Who waits for the policy report to change.
    """

    def __init__(self, sources: Sources) -> None:
        self.changes = Changes()
        self._sources = sources
        self._policies = sources.policies
        self._activity = sources.activity
        self._life = sources.life
        self._calls: deque[CallRecord] = deque(maxlen=CALLS)

    def noted(self, call: CallRecord) -> None:
        """Remember a call that has ended."""
        self._calls.append(call)

    def calls(self) -> tuple[CallRecord, ...]:
        """Return the calls of the last minutes, oldest first."""
        since = time.time() - CALL_SECONDS
        return tuple(call for call in self._calls if call.at >= since)

    def budget(self) -> BudgetTable:
        """Return the budget table of the policy in use."""
        budget = self._policies.active.policy.budget
        return BudgetTable(budget.on_limit, budget.on_exhausted, self.rows())

    def rows(self) -> tuple[Row, ...]:
        """Return the rows of the budget table."""
        budget = self._policies.active.policy.budget
        return self._sources.table.rows(budget.limits, budget.warn_at_percent)

    def violations(self) -> tuple[Violation, ...]:
        """Return the rules that applied of late, oldest first."""
        return self._sources.violations.last()

    def policy_report(self) -> PolicyReport:
        """Return which policy is in use, and what has come of it; a changed report has a new sequence."""
        sources, active = self._sources, self._policies.active
        report = PolicyReport(
            policy_hash=active.hash,
            error=self._policies.error,
            exhausted=sources.table.exhausted(active.limits),
            nats_error=sources.table.shared.error,
            stopped=sources.halt.reason,
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
            ready=self._life.ready and not self._life.draining,
            draining=self._life.draining,
            running=self._activity.running,
            wall_seconds=self._activity.wall(now),
            busy_seconds=self._activity.busy(now),
            utilization=self._activity.utilization(now),
            charged_at_start=self._sources.table.ledger.orphans.calls,
        )

    def gauges(self) -> Gauges:
        """Return what a scrape reads."""
        now = time.monotonic()
        return Gauges(
            rows=self.rows(),
            nats_reachable=self._sources.table.shared.is_reachable,
            policy_hash=self._policies.active.hash,
            policy_current=not self._policies.error,
            wall_seconds=self._activity.wall(now),
            busy_seconds=self._activity.busy(now),
            utilization=self._activity.utilization(now),
            draining=self._life.draining,
        )
