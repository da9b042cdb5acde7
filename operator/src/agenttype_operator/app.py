"""The composition root: from settings to a running operator, and its orderly end."""

import asyncio
import datetime as dt
import random
from collections.abc import Coroutine
from typing import Any

import aiohttp
from agenttype_api.sidecar_report import PolicyReport
from agenttype_runtime import probe_server, process
from agenttype_runtime.json_log import Log
from kubernetes.aio.client import Configuration

from agenttype_operator.informer import lister, watch
from agenttype_operator.informer.cache import Cache
from agenttype_operator.informer.informer import Informer
from agenttype_operator.informer.relist import Relister
from agenttype_operator.kube import client, kinds
from agenttype_operator.kube.client import KubeClient
from agenttype_operator.kube.crd_check import CrdCheck
from agenttype_operator.kube.kinds import Key, Raw
from agenttype_operator.kube.leadership import Leadership, LeadershipLost
from agenttype_operator.metrics import Metrics
from agenttype_operator.pods.report_client import ReportClient
from agenttype_operator.pods.report_watch import ReportWatch
from agenttype_operator.queue.controller import Controller
from agenttype_operator.queue.workqueue import WorkQueue
from agenttype_operator.reconcile import stop_agent
from agenttype_operator.reconcile.apply import Applier
from agenttype_operator.reconcile.context import Context
from agenttype_operator.reconcile.dispatch import Dispatcher
from agenttype_operator.settings import Settings
from agenttype_operator.status.violation_recorder import ViolationRecorder
from agenttype_operator.status.writer import StatusWriter

log = Log("app")

#: A replica that has had no word from the API server for this long cannot be counted on.
_SILENCE_SECONDS = 30.0


async def run(settings: Settings) -> None:
    """Stand by until the Lease is ours, work while it is, until SIGTERM or SIGINT; then give the Lease back.

    A Lease that was lost, as in an outage of the API server, puts this replica back to standing by: ending the
    process instead would make the kubelet delay its return ever longer.
    """
    stop = process.stop_event()
    configuration = await client.load_configuration()
    metrics = Metrics()
    leadership = Leadership(settings, _now)
    kube = KubeClient(configuration, f"agenttype-operator/{settings.identity}", leadership.leads, metrics)
    loop = asyncio.get_running_loop()
    crds = CrdCheck(kube)
    server = await probe_server.serve(
        settings.http_port,
        metrics.text,
        ready=lambda: loop.time() - leadership.last_contact < _SILENCE_SECONDS,
    )
    try:
        await _unless(stop, _check(crds))
        while not stop.is_set() and await _unless(stop, leadership.acquire(kube)):
            metrics.leading.set(1)
            try:
                await _unless(stop, _lead(settings, kube, crds, leadership, metrics, configuration))
            except LeadershipLost as lost:
                log.warning("standing by again", error=str(lost))
            metrics.leading.set(0)
            metrics.stopped.set_function(lambda: 0)
            metrics.outdated_crds.set_function(lambda: 0)
    finally:
        await leadership.release(kube)
        await server.cleanup()
        await kube.close()


async def _lead(
    settings: Settings,
    kube: KubeClient,
    crds: CrdCheck,
    leadership: Leadership,
    metrics: Metrics,
    configuration: Configuration,
) -> None:
    """Do the work of the leader, until cancelled or no longer leading."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        reports = ReportClient(session)
        informer = Informer(Cache(), Key(kinds.BINDING.name, "", settings.gate_binding))
        violations = ViolationRecorder(kube, informer, _now, settings.identity)

        def heard(owner: Key, pod: Raw, report: PolicyReport) -> None:
            reports.heard(pod, report)
            violations.take(pod, report)
            informer.enqueue(owner)

        report_watch = ReportWatch(heard, _jitter)
        informer.on_pod_deleted(reports.forget, violations.forget, report_watch.forget)
        relister = Relister(kube, informer, settings.namespaces, metrics)
        context = Context(
            client=kube,
            informer=informer,
            crds=crds,
            applier=Applier(kube, informer),
            reports=reports,
            report_watch=report_watch,
            status=StatusWriter(kube, informer, _now, settings.identity),
            children=settings.children,
        )
        controller = Controller(WorkQueue(_jitter), Dispatcher(context), metrics, settings.workers)
        informer.add_event_handler(controller.add)
        metrics.stopped.set_function(lambda: _stopped_agents(informer))
        metrics.outdated_crds.set_function(lambda: len(crds))
        handlers = watch.registry(informer, configuration)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(leadership.keep(kube))
                await crds.check()
                await relister.list_all()
                informer.enqueue_all()
                group.create_task(watch.run(handlers, settings.namespaces, metrics))
                group.create_task(relister.run(settings.relist))
                group.create_task(crds.run(settings.relist, informer.enqueue_kind))
                group.create_task(_resync(informer, settings.resync))
                group.create_task(violations.run())
                group.create_task(controller.run())
        except ExceptionGroup as failures:
            if failures.subgroup(LeadershipLost):
                raise LeadershipLost(f"{settings.identity} no longer holds the Lease") from failures
            raise
        finally:
            await report_watch.close()


async def _check(crds: CrdCheck) -> None:
    """Log at once what is wrong, on a replica that only stands by, too."""
    await crds.check()


def _stopped_agents(informer: Informer) -> int:
    return sum(stop_agent.told(agent) is not None for agent in lister.agent_types(informer.cache))


def _jitter() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311 — it spreads delays, and hides nothing


async def _resync(informer: Informer, period: float) -> None:
    while True:
        await asyncio.sleep(period)
        informer.enqueue_all()


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do a piece of work unless or until told to stop; return whether it was done."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        return False
    await task
    return True


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
