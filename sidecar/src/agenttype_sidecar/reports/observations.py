"""What there is to see of a running sidecar, for the control API: typed values, read when asked."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from agenttype_api.policy import Identity, Limit, Tool
from agenttype_api.sidecar_report import PolicyReport
from agenttype_api.v1alpha1 import OnLimit

from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.reservation import Line
from agenttype_sidecar.policies import Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.metrics import Gauges

#: How long a call stays visible, and how many do.
CALL_SECONDS: Final = 600
CALLS: Final = 1000


@dataclass(frozen=True, slots=True)
class CallRecord:
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
    usage_source: str
    seconds: float
    first_byte: float | None
    clamped: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class BudgetTable:
    """The limits with what is spent, held and left of each."""

    on_limit: OnLimit
    lines: tuple[Line, ...]


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


class Observations:
    """Reads the parts of a sidecar; the control API gets this and nothing else."""

    def __init__(self, policies: Policies, ledger: Ledger, activity: Activity, life: Life) -> None:
        self._policies = policies
        self._ledger = ledger
        self._activity = activity
        self._life = life
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
        return BudgetTable(self._policies.active.on_limit, self.lines())

    def lines(self) -> tuple[Line, ...]:
        """Return the rows of the budget table."""
        return lines(self._policies.active.limits, self._ledger)

    def tools(self) -> tuple[Tool, ...]:
        """Return the tool servers of the policy in use."""
        return self._policies.active.policy.tools

    def policy_report(self) -> PolicyReport:
        """Return which policy is in use, and why a newer one is not."""
        return self._policies.report()

    def status(self) -> Status:
        """Return the state of the sidecar itself."""
        now = time.monotonic()
        return Status(
            identity=self._policies.active.policy.identity,
            policy=self._policies.report(),
            ready=self._life.ready and not self._life.draining,
            draining=self._life.draining,
            running=self._activity.running,
            wall_seconds=self._activity.wall(now),
            busy_seconds=self._activity.busy(now),
            utilization=self._activity.utilization(now),
            charged_at_start=self._ledger.orphans.calls,
        )

    def gauges(self) -> Gauges:
        """Return what a scrape reads."""
        now = time.monotonic()
        return Gauges(
            lines=self.lines(),
            policy_hash=self._policies.active.hash,
            policy_current=not self._policies.error,
            wall_seconds=self._activity.wall(now),
            busy_seconds=self._activity.busy(now),
            utilization=self._activity.utilization(now),
            draining=self._life.draining,
        )


def lines(limits: tuple[Limit, ...], ledger: Ledger) -> tuple[Line, ...]:
    """Return the rows of the budget table for these limits."""
    spent, held = ledger.book.spent, ledger.book.held
    return tuple(Line(limit, spent.of(limit.resource), held.of(limit.resource)) for limit in limits)
