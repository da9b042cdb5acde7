"""One tool call, from its admission to its end, whatever wire it came by.

admit (limits, budget, rules) → the gateway sends it → judge what comes back → settle. Everything that asks whether a
call may go, or its result may pass, is asked here and nowhere else.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from agenttype_proxy import errors
from agenttype_proxy.client import Client

from agenttype_sidecar.errors import LedgerUnavailable, Refusal
from agenttype_sidecar.policies import Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.metrics import Metrics
from agenttype_sidecar.tools.metrics import OTHER, ToolMetrics
from agenttype_sidecar.tools.refusals import Cancelled, ToolTimedOut
from agenttype_sidecar.tools.servers import ToolServer, ToolServers

#: What an answer may measure where the policy does not say.
ANSWER_LIMIT: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ToolParts:
    """What every tool call uses."""

    client: Client
    policies: Policies
    servers: ToolServers
    metrics: Metrics
    tool_metrics: ToolMetrics
    activity: Activity


@dataclass(frozen=True, slots=True)
class Subject:
    """What is called.

    Attributes:
        server: Whose tool it is.
        tool: The tool's own name; of an HTTP API method and path.
        label: The name it is counted under.
        message: The bytes that the agent sends: the JSON-RPC message, or the body.
    """

    server: ToolServer
    tool: str
    label: str
    message: bytes


class Running:
    """A call that was let through.

    Attributes:
        outcome: How it is counted; the gateway says what became of it.
        sent: Whether the server may have begun to work on it.
        result_limit: Bytes that its result may measure.
    """

    def __init__(self, subject: Subject) -> None:
        self.outcome = "ok"
        self.sent = True
        self.result_limit = subject.server.policy.limits.result_bytes or ANSWER_LIMIT


class ToolCalls:
    """Lets calls through, and books them."""

    def __init__(self, parts: ToolParts) -> None:
        self._parts = parts

    @contextlib.asynccontextmanager
    async def running(self, subject: Subject) -> AsyncIterator[Running]:
        """Admit a call; what is done with it happens inside, and is booked when it ends.

        Raises:
            Refusal: It may not go; nothing of it was sent.
        """
        parts = self._parts
        began = time.monotonic()
        try:
            await self._admit(subject, began)
        except Refusal:
            parts.tool_metrics.refused(subject.server.name, subject.label)
            raise
        running = Running(subject)
        parts.activity.begin(began)
        try:
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
            parts.activity.end(now)
            self._settle(subject, running, now - began)

    async def _admit(self, subject: Subject, now: float) -> None:
        server = subject.server
        server.allowance.take(server.policy.limits, len(subject.message), now)

    def _settle(self, subject: Subject, running: Running, seconds: float) -> None:
        server = subject.server
        if not running.sent:
            with contextlib.suppress(LedgerUnavailable):  # then it stays counted, which errs on the safe side
                server.allowance.give_back(server.policy.limits)
        self._parts.tool_metrics.called(server.name, subject.label, running.outcome, seconds)


def label(server: ToolServer, tool: str) -> str:
    """Return the label of an MCP tool: its name, where policy allows it."""
    return server.label(tool) if server.allowed.fullmatch(tool) else OTHER


def _outcome(refusal: Refusal) -> str:
    if isinstance(refusal, ToolTimedOut):
        return "timeout"
    if isinstance(refusal, Cancelled):
        return "caller_gone"
    return "refused" if refusal.status < 500 else "upstream_error"  # noqa: PLR2004 — the class of a status
