"""One tool call, from its admission to its end, for every kind of gateway.

admit (limits, budget, rules) → the gateway sends it → check the result → settle. The checks are made here for every
gateway, but for the allow-list: each gateway reads the name of the tool in its own way, and compares it at once.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from agenttype_proxy import asgi, errors
from agenttype_proxy.client import Client
from agenttype_proxy.messages import Deadlines

from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.admission.tool_charges import ToolCharges, ToolHold
from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.telemetry.activity import Activity
from agenttype_sidecar.telemetry.metrics import Metrics
from agenttype_sidecar.tools import refusals
from agenttype_sidecar.tools.metrics import OTHER, ToolMetrics
from agenttype_sidecar.tools.policy_rules import RuleCheck, RuleChecks
from agenttype_sidecar.tools.refusals import Cancelled, ToolTimedOut
from agenttype_sidecar.tools.servers import ToolServer, ToolServers

#: The largest answer in bytes if the policy sets no limit.
ANSWER_LIMIT: Final = 16 * 1024 * 1024
#: The longest call in seconds if the policy sets no limit.
LONGEST: Final = 1800.0


@dataclass(frozen=True, slots=True)
class ToolServices:
    """The parts of the sidecar that a tool call uses."""

    client: Client
    policies: Policies
    servers: ToolServers
    metrics: Metrics
    tool_metrics: ToolMetrics
    activity: Activity
    rule_checks: RuleChecks
    charges: ToolCharges
    cancellation: Cancellation

    async def refuse(self, refusal: Refusal, send: asgi.Send) -> None:
        """Count a refusal, and answer with it as a plain HTTP error."""
        self.metrics.refused(refusal.reason)
        await asgi.respond(send, *refusals.http_answer(refusal))


@dataclass(frozen=True, slots=True)
class Subject:
    """The tool that is called.

    Attributes:
        server: The tool's server.
        tool: The tool's own name; for an HTTP API, method and path.
        label: The name it is counted under.
        message: The bytes that the agent sends: the JSON-RPC message, or the body.
        texts: Returns its texts, in which rules search.
    """

    server: ToolServer
    tool: str
    label: str
    message: bytes
    texts: Callable[[], Iterable[str]]


class RunningCall:
    """An admitted call.

    Attributes:
        outcome: The outcome it is counted under; the gateway sets it.
        sent: Whether the server may have begun to work on it.
        deadlines: Its deadlines.
        result_limit: The largest result in bytes.
        rule_check: Checks its result.
    """

    def __init__(self, subject: Subject, deadlines: Deadlines, hold: ToolHold, rule_check: RuleCheck) -> None:
        self.outcome = "ok"
        self.sent = True
        self.seconds = min(longest(deadlines), hold.seconds)
        self.deadlines = replace(deadlines, total=self.seconds)
        self.result_limit = subject.server.policy.limits.result_bytes or ANSWER_LIMIT
        self.rule_check = rule_check
        self.hold = hold


class ToolCalls:
    """Admits calls, and settles them."""

    def __init__(self, services: ToolServices) -> None:
        self._services = services

    @contextlib.asynccontextmanager
    async def running(self, subject: Subject) -> AsyncIterator[RunningCall]:
        """Admit a call; the caller sends it inside the context, and it is settled at the end.

        Raises:
            Refusal: It may not go, and nothing of it was sent; or it was cut while it ran.
        """
        services = self._services
        try:
            running = await self._admitted(subject)
        except Refusal:
            services.tool_metrics.refused(subject.server.name, subject.label)
            raise
        began = time.monotonic()
        services.activity.begin(began)
        try:
            with services.cancellation.cancellable() as cancellable:
                running.rule_check.leave = lambda: services.cancellation.leave(cancellable)
                yield running
        except (errors.CallerGone, asyncio.CancelledError):
            running.outcome = "caller_gone"
            raise
        except Refusal as refusal:
            running.outcome = _outcome(refusal)
            raise
        except errors.UpstreamError:
            running.outcome = "upstream_error"
            raise
        except BaseException:
            running.outcome = "cut"
            raise
        finally:
            now = time.monotonic()
            services.activity.end(now)
            self._settle(subject, running, now - began)

    async def _admitted(self, subject: Subject) -> RunningCall:
        """Run all checks that may refuse a call; the one that writes to the ledger comes last."""
        services, server = self._services, subject.server
        rule_check = services.rule_checks.call(server.name, subject.tool, len(subject.message), subject.texts)
        server.allowance.take(server.policy.limits, len(subject.message), time.monotonic())
        deadlines = server.deadlines(services.policies.active.policy.timeouts)
        try:
            hold = await services.charges.admit(longest(deadlines))
        except BaseException:
            server.allowance.give_back(server.policy.limits)
            raise
        return RunningCall(subject, deadlines, hold, rule_check)

    def _settle(self, subject: Subject, running: RunningCall, seconds: float) -> None:
        server, services = subject.server, self._services
        if running.sent:
            services.charges.settle(running.hold, seconds)
        else:
            services.charges.release(running.hold)
            server.allowance.give_back(server.policy.limits)
        server.answers = running.sent and running.outcome not in ("upstream_error", "timeout")
        services.tool_metrics.called(server.name, subject.label, running.outcome, seconds)


def longest(deadlines: Deadlines) -> float:
    """Return how long a tool call may take in all, in seconds."""
    return LONGEST if deadlines.total is None else deadlines.total


def label(server: ToolServer, tool: str) -> str:
    """Return the label of an MCP tool: its name if policy allows it, else "other"."""
    return server.label(tool) if server.allowed.fullmatch(tool) else OTHER


def _outcome(refusal: Refusal) -> str:
    if isinstance(refusal, ToolTimedOut):
        return "timeout"
    if isinstance(refusal, Cancelled):
        return "caller_gone"
    return "refused" if refusal.status < 500 else "upstream_error"  # noqa: PLR2004 — server errors
