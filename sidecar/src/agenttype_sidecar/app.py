"""Puts the parts together and runs them: the only place that knows them all."""

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from functools import partial

from agenttype_proxy import asgi
from agenttype_proxy.client import Client
from agenttype_proxy.server import ServedApp, ServerLimits, serve
from agenttype_runtime import process

from agenttype_sidecar import drain
from agenttype_sidecar.admission.admission import Admission, AdmissionState
from agenttype_sidecar.admission.agent_stop import AgentStop
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.admission.overrun_watch import OverrunWatch
from agenttype_sidecar.admission.tool_charges import ToolCharges
from agenttype_sidecar.backends.breakers import Breakers
from agenttype_sidecar.backends.certificate_authorities import Authorities
from agenttype_sidecar.backends.credentials import Credentials
from agenttype_sidecar.backends.session_affinity import SessionAffinity
from agenttype_sidecar.budget import ledger as ledgers
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.limit_status import LimitStatus
from agenttype_sidecar.budget.shared_limits import SharedLimits
from agenttype_sidecar.control.gauges import GaugeCollector
from agenttype_sidecar.control.lease_metrics import LeaseMetrics
from agenttype_sidecar.control.observations import Lifecycle, Observations, Sources
from agenttype_sidecar.llm.metrics import LlmMetrics
from agenttype_sidecar.llm.services import Services
from agenttype_sidecar.llm.stored_responses import StoredResponses
from agenttype_sidecar.llm.upstream import Upstream
from agenttype_sidecar.options import Options
from agenttype_sidecar.policy import policies as policy_files
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.ports.control import ControlPort
from agenttype_sidecar.ports.data import DataPort, ToolGateway
from agenttype_sidecar.ports.health import HealthPort
from agenttype_sidecar.ports.tools import ToolPort
from agenttype_sidecar.ratelimit.rates import Rates
from agenttype_sidecar.telemetry.activity import Activity
from agenttype_sidecar.telemetry.call_log import CallLog
from agenttype_sidecar.telemetry.metrics import Metrics
from agenttype_sidecar.telemetry.violations import Violations
from agenttype_sidecar.tools import tool_report
from agenttype_sidecar.tools.call_checks import ToolServices
from agenttype_sidecar.tools.metrics import ToolMetrics
from agenttype_sidecar.tools.policy_rules import RuleChecks
from agenttype_sidecar.tools.servers import ToolServers

#: Large bodies at once; a call keeps about three copies of its own, and the container has 256 MiB.
_BODY_BYTES = 48 * 1024 * 1024


class Sidecar:
    """All parts of one sidecar; made whole or not at all.

    Attributes:
        observations: What the control API reads.
        metrics: What is counted.
        parts: What calls use.
    """

    def __init__(self, options: Options) -> None:
        """Load the policy, open and replay the ledger.

        Raises:
            StartError: See its subclasses.
        """
        self.options = options
        self.life = Lifecycle()
        self.metrics = Metrics()
        self.policies = Policies(options.policy, self.metrics)
        self.ledger = Ledger(options.ledger)
        self.metrics.orphans.inc(self.ledger.orphans.calls)
        self.activity = Activity(time.monotonic(), self.ledger.elapsed_ms / 1000, self.ledger.busy_ms / 1000)
        self.cancellation = Cancellation()
        self.shared = SharedLimits(self.ledger, options.nats_token)
        limit_status = LimitStatus(self.ledger, self.shared)
        agent_stop = AgentStop(self.ledger, self.policies, self.cancellation)
        state = AdmissionState(limit_status, agent_stop, self.policies)
        violations = Violations(self.metrics.registry, agent_stop, self._look)
        call_log = CallLog()
        self.client = Client()
        self.observations = Observations(
            Sources(self.policies, limit_status, agent_stop, violations, call_log, self.activity, self.life)
        )
        self.metrics.registry.register(GaugeCollector(self.observations.gauges))
        LeaseMetrics(self.metrics.registry, self.shared, self.policies)
        self.authorities = Authorities(self.client, options.credentials)
        self.credentials = Credentials(options.token, options.credentials)
        self.tool_servers = ToolServers(self.ledger.tool_calls, self.credentials)
        upstream = Upstream(self.authorities, self.credentials, self.ledger, SessionAffinity(self.ledger.holder))
        admission = Admission(state, upstream, self.metrics)
        self.overrun_watch = OverrunWatch(state, admission, self.cancellation)
        self.services = Services(
            policies=self.policies,
            ledger=self.ledger,
            upstream=upstream,
            breakers=Breakers(self.metrics.registry, self.policies),
            limit_status=limit_status,
            admission=admission,
            rates=Rates(self.metrics.registry),
            cancellation=self.cancellation,
            metrics=self.metrics,
            llm_metrics=LlmMetrics(self.metrics.registry),
            violations=violations,
            activity=self.activity,
            call_log=call_log,
            stored_responses=StoredResponses(self.ledger.responses),
        )

    def tools(self) -> ToolGateway:
        """Return what answers at the paths of tools."""
        return ToolPort(
            ToolServices(
                client=self.client,
                policies=self.policies,
                servers=self.tool_servers,
                metrics=self.metrics,
                tool_metrics=ToolMetrics(self.metrics.registry),
                activity=self.activity,
                rule_checks=RuleChecks(self.policies, self.services.violations),
                charges=ToolCharges(self.services.admission),
                cancellation=self.cancellation,
            )
        )

    def control_api(self) -> asgi.ASGIApp:
        """Return the control API; called once, when it is first asked for, for its framework is slow to import."""
        from agenttype_sidecar.control import api  # noqa: PLC0415 — see above

        return api.app(self.observations, lambda: tool_report.reports(self.tool_servers, self.policies.active.policy))

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, let running calls end, and leave the ledger complete."""
        loop = asyncio.get_running_loop()
        told, stop = process.stop_event(), asyncio.Event()
        loop.add_signal_handler(signal.SIGHUP, self._follow, self.policies.reload)
        self._follow(self.policies.look)
        chores = [
            asyncio.create_task(process.every(policy_files.POLL_SECONDS, partial(self._follow, self.policies.look))),
            asyncio.create_task(process.every(ledgers.FLUSH_SECONDS, self._flush)),
            asyncio.create_task(drain.drain(told, stop, self.activity, self.observations, self.options.drain_seconds)),
        ]
        for chore in chores:
            chore.add_done_callback(lambda done: stop.set() if _fault(done) else None)
        try:
            await serve(
                self._listeners(),
                limits=ServerLimits(body_bytes=_BODY_BYTES),
                stop=stop,
                drain_seconds=self.options.drain_seconds,
                on_ready=self._ready,
            )
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await self.shared.close()
            await self.authorities.close()
            await self.client.close()
            self.ledger.close()
        # Without its chores it would go on with an old policy and an old record: better to begin again.
        for fault in filter(None, map(_fault, chores)):
            raise fault

    def _listeners(self) -> list[ServedApp]:
        options = self.options
        return [
            ServedApp(DataPort(self.services, self.tools()), options.data_host, options.data_port),
            ServedApp(HealthPort(self.life), options.host, options.health_port),
            ServedApp(ControlPort(self.metrics, self.control_api), options.host, options.control_port),
        ]

    def _ready(self, ports: list[int]) -> None:
        # What the start has made stays to the end: no collection needs to look at it again, in the middle of a call.
        gc.collect()
        gc.freeze()
        self.life.ready = True
        data, health, control = ports
        process.say_ready(data_port=data, health_port=health, control_port=control)

    def _follow(self, load: Callable[[], bool]) -> None:
        """Load the policy; no call meets a shared limit before its store is known."""
        load()
        self.shared.adopt(self.policies.active.policy)

    def _flush(self) -> None:
        self.ledger.busy_ms = int(self.activity.busy(time.monotonic()) * 1000)
        if not self.ledger.flush():
            self.metrics.ledger_errors.inc()
        self.overrun_watch.look()
        self._look()

    def _look(self) -> None:
        """Wake those who watch the report, if it has changed."""
        self.observations.policy_report()


def _fault(chore: "asyncio.Task[None]") -> BaseException | None:
    """Return what ended a chore that should have gone on."""
    return None if chore.cancelled() or not chore.done() else chore.exception()
