"""Puts the parts together and runs them: the only place that knows them all."""

import asyncio
import gc
import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial

from agenttype_proxy import asgi
from agenttype_proxy.client import Client
from agenttype_proxy.server import Listener, ServerLimits, serve

from agenttype_sidecar import policies as policy_files
from agenttype_sidecar.backends.authorities import Authorities
from agenttype_sidecar.backends.circuits import Circuits
from agenttype_sidecar.backends.credentials import Credentials
from agenttype_sidecar.backends.sessions import Session
from agenttype_sidecar.backends.upstream import Upstream
from agenttype_sidecar.budget import ledger as ledgers
from agenttype_sidecar.budget.admission import Admission, Gate
from agenttype_sidecar.budget.guard import Guard
from agenttype_sidecar.budget.halt import Halt
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.table import Table
from agenttype_sidecar.budget.tool_charges import ToolCharges
from agenttype_sidecar.data import DataPort, ToolGateway
from agenttype_sidecar.leases.metrics import LeaseMetrics
from agenttype_sidecar.leases.shared import Shared
from agenttype_sidecar.llm.parts import Parts
from agenttype_sidecar.llm.stored import Stored
from agenttype_sidecar.options import Options
from agenttype_sidecar.policies import Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.control_port import ControlPort
from agenttype_sidecar.reports.health import HealthPort
from agenttype_sidecar.reports.metrics import Metrics
from agenttype_sidecar.reports.observations import Life, Observations, Sources
from agenttype_sidecar.reports.violations import Violations
from agenttype_sidecar.running import Running
from agenttype_sidecar.tools import report
from agenttype_sidecar.tools.calls import ToolParts
from agenttype_sidecar.tools.judgement import Judge
from agenttype_sidecar.tools.metrics import ToolMetrics
from agenttype_sidecar.tools.port import ToolPort
from agenttype_sidecar.tools.servers import ToolServers
from agenttype_sidecar.traffic.rates import Rates

_QUIET_POLL = 0.05
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
        self.life = Life()
        self.metrics = Metrics()
        self.policies = Policies(options.policy, self.metrics)
        self.ledger = Ledger(options.ledger)
        self.metrics.orphans.inc(self.ledger.orphans.calls)
        self.activity = Activity(time.monotonic(), self.ledger.elapsed_ms / 1000, self.ledger.busy_ms / 1000)
        self.running = Running()
        self.shared = Shared(self.ledger, options.nats_token)
        table = Table(self.ledger, self.shared)
        halt = Halt(self.ledger, self.policies, self.running)
        gate = Gate(table, halt, self.policies)
        violations = Violations(self.metrics.registry, halt, self._look)
        self.client = Client()
        self.observations = Observations(Sources(self.policies, table, halt, violations, self.activity, self.life))
        self.metrics.observe(self.observations.gauges)
        LeaseMetrics(self.metrics.registry, self.shared, self.policies)
        self.authorities = Authorities(self.client, options.credentials)
        self.credentials = Credentials(options.token, options.credentials)
        self.tool_servers = ToolServers(self.ledger.tool_calls, self.credentials)
        upstream = Upstream(self.authorities, self.credentials, self.ledger, Session(self.ledger.holder))
        admission = Admission(gate, upstream, self.metrics)
        self.guard = Guard(gate, admission, self.running)
        self.parts = Parts(
            policies=self.policies,
            ledger=self.ledger,
            upstream=upstream,
            circuits=Circuits(self.metrics.registry, self.policies),
            table=table,
            admission=admission,
            rates=Rates(self.metrics.registry),
            running=self.running,
            metrics=self.metrics,
            violations=violations,
            activity=self.activity,
            observations=self.observations,
            stored=Stored(self.ledger.responses),
        )

    def tools(self) -> ToolGateway:
        """Return what answers at the paths of tools."""
        return ToolPort(
            ToolParts(
                client=self.client,
                policies=self.policies,
                servers=self.tool_servers,
                metrics=self.metrics,
                tool_metrics=ToolMetrics(self.metrics.registry),
                activity=self.activity,
                judge=Judge(self.policies, self.parts.violations),
                charges=ToolCharges(self.parts.admission),
                running=self.running,
            )
        )

    def control_api(self) -> asgi.ASGIApp:
        """Return the control API; called once, when it is first asked for, for its framework is slow to import."""
        from agenttype_sidecar.reports import control  # noqa: PLC0415 — see above

        return control.app(self.observations, lambda: report.reports(self.tool_servers, self.policies.active.policy))

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, let running calls end, and leave the ledger complete."""
        loop = asyncio.get_running_loop()
        told, stop = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        loop.add_signal_handler(signal.SIGHUP, self._follow, self.policies.reload)
        self._follow(self.policies.look)
        chores = [
            asyncio.create_task(_every(policy_files.POLL_SECONDS, partial(self._follow, self.policies.look))),
            asyncio.create_task(_every(ledgers.FLUSH_SECONDS, self._flush)),
            asyncio.create_task(self._ending(told, stop)),
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

    def _listeners(self) -> list[Listener]:
        options = self.options
        return [
            Listener(DataPort(self.parts, self.tools()), options.data_host, options.data_port),
            Listener(HealthPort(self.life), options.host, options.health_port),
            Listener(ControlPort(self.metrics, self.control_api), options.host, options.control_port),
        ]

    def _ready(self, ports: list[int]) -> None:
        # What the start has made stays to the end: no collection needs to look at it again, in the middle of a call.
        gc.collect()
        gc.freeze()
        self.life.ready = True
        names = ("data_port", "health_port", "control_port")
        sys.stdout.write(json.dumps(dict(zip(names, ports, strict=True))) + "\n")
        sys.stdout.flush()

    async def _ending(self, told: asyncio.Event, stop: asyncio.Event) -> None:
        """Go on serving after the signal while calls are running: an agent may need several to end well."""
        await told.wait()
        self.life.draining = True
        due = time.monotonic() + self.options.drain_seconds
        while self.activity.running and time.monotonic() < due:  # noqa: ASYNC110 — once in a life; calls pay nothing
            await asyncio.sleep(_QUIET_POLL)
        self.observations.changes.end()
        stop.set()

    def _follow(self, load: Callable[[], bool]) -> None:
        """Load the policy; no call meets a shared limit before its store is known."""
        load()
        self.shared.adopt(self.policies.active.policy)

    def _flush(self) -> None:
        self.ledger.busy_ms = int(self.activity.busy(time.monotonic()) * 1000)
        if not self.ledger.flush():
            self.metrics.ledger_errors.inc()
        self.guard.look()
        self._look()

    def _look(self) -> None:
        """Wake whoever watches the report, where it has changed."""
        self.observations.policy_report()


def _fault(chore: "asyncio.Task[None]") -> BaseException | None:
    """Return what ended a chore that should have gone on."""
    return None if chore.cancelled() or not chore.done() else chore.exception()


async def _every(seconds: float, chore: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(seconds)
        chore()
