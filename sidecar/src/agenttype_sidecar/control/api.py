"""The control API: what the agent, the operator and people can see of a sidecar. It is read-only."""

from collections.abc import Callable
from typing import Annotated

from agenttype_api import keys
from agenttype_api.schema import Document
from agenttype_api.sidecar_report import PolicyReport, Violation
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from agenttype_sidecar.budget.limit_status import BudgetRow
from agenttype_sidecar.control.observations import Observations
from agenttype_sidecar.tools.tool_report import ToolReport


class LimitReport(Document):
    """One limit; all numbers in units of its resource: tokens, calls, nano-dollars or milliseconds."""

    name: str
    resource: str
    window: str
    scope: str
    limit: int
    spent: int
    held: int
    drawn: int | None = None
    """Of a shared limit, what this pod may use; spent and held are this pod's too."""
    remaining: int
    reset_seconds: float | None = None
    """Until the limit starts again; null where it never does."""
    warning: bool
    """Whether more is spent than `warnAtPercent`."""


class BudgetReport(Document):
    """All limits, and what happens to a call that does not fit."""

    on_limit: str
    on_exhausted: str
    limits: tuple[LimitReport, ...]


class CallReport(Document):
    """One LLM call of the last minutes."""

    at: float
    path: str
    model: str
    adapter: str
    protocol: str
    outcome: str
    status: int
    reason: str
    input_tokens: int
    output_tokens: int
    cost_nanousd: int
    usage_source: str
    seconds: float
    first_byte_seconds: float | None
    clamped: bool
    attempts: int


class StatusReport(Document):
    """The sidecar itself."""

    namespace: str
    agent_type: str
    ready: bool
    draining: bool
    running_calls: int
    wall_clock_seconds: float
    busy_seconds: float
    utilization: float
    charged_at_start: int


def app(observations: Observations, tool_reports: Callable[[], list[ToolReport]]) -> FastAPI:
    """Return the control API of a sidecar, with its OpenAPI page at `/docs`."""
    # A path with an extra slash is not redirected, because the redirect would use the caller's own Host.
    api = FastAPI(title="AgentType sidecar", version=keys.VERSION, description=__doc__, redirect_slashes=False)
    api.exception_handler(RequestValidationError)(_wrong_query)
    base = keys.CONTROL_API

    @api.get(f"{base}/budget")
    async def budget() -> BudgetReport:
        """What is spent, held and left of every limit."""
        table = observations.budget()
        return BudgetReport(
            on_limit=table.on_limit, on_exhausted=table.on_exhausted, limits=tuple(map(_limit, table.rows))
        )

    @api.get(f"{base}/calls")
    async def calls() -> list[CallReport]:
        """The LLM calls of the last ten minutes, oldest first."""
        return [
            CallReport(
                at=call.at,
                path=call.path,
                model=call.model,
                adapter=call.adapter,
                protocol=call.protocol,
                outcome=call.outcome,
                status=call.status,
                reason=call.reason,
                input_tokens=call.input,
                output_tokens=call.output,
                cost_nanousd=call.cost,
                usage_source=call.usage_source,
                seconds=call.seconds,
                first_byte_seconds=call.first_byte,
                clamped=call.clamped,
                attempts=call.attempts,
            )
            for call in observations.calls()
        ]

    @api.get(keys.POLICY_STATUS_PATH)
    async def policy(
        after: int | None = None, wait: Annotated[float, Query(allow_inf_nan=False)] = 0.0
    ) -> PolicyReport:
        """The policy in use and its effects; with `after`, answered once the report has passed that sequence."""
        if after is None:
            return observations.policy_report()
        return await observations.changed_report(after, wait)

    @api.get(f"{base}/violations")
    async def violations() -> tuple[Violation, ...]:
        """The last rules that applied, oldest first; never the matched text."""
        return observations.violations()

    @api.get(f"{base}/tools")
    async def tools() -> list[ToolReport]:
        """The tool servers that policy allows."""
        return tool_reports()

    @api.get(f"{base}/status")
    async def status() -> StatusReport:
        """The sidecar itself: readiness, running calls, how busy the agent is."""
        now = observations.status()
        return StatusReport(
            namespace=now.identity.namespace,
            agent_type=now.identity.name,
            ready=now.ready,
            draining=now.draining,
            running_calls=now.running,
            wall_clock_seconds=now.wall_seconds,
            busy_seconds=now.busy_seconds,
            utilization=now.utilization,
            charged_at_start=now.charged_at_start,
        )

    return api


def _limit(row: BudgetRow) -> LimitReport:
    line = row.line
    return LimitReport(
        name=line.limit.name,
        resource=line.limit.resource,
        window=line.limit.window,
        scope=line.limit.scope,
        limit=line.limit.max,
        spent=line.spent,
        held=line.held,
        drawn=line.drawn,
        remaining=line.remaining,
        reset_seconds=row.reset,
        warning=row.warning,
    )


async def _wrong_query(_: Request, error: Exception) -> JSONResponse:
    """Name the wrong parameter, but nothing of what was sent."""
    wrong = [fault["loc"][-1] for fault in error.errors()] if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": f"not usable: {', '.join(map(str, wrong))}"}, status_code=422)
