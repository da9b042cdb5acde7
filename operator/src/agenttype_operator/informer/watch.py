"""The watch of Kubernetes: kopf tells the informer what changed, and does nothing else.

The only module that imports kopf. No state-keeping handlers, timers, daemons, indexes, finalizers, webhooks or peering:
events go into the informer, and what follows from them is decided elsewhere.

kopf runs in a thread and an event loop of its own. When it ends it cancels every task of its loop, ours included, and
in the main thread it would take over the process's signals.
"""

import asyncio
import concurrent.futures
import random
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import kopf
from agenttype_api import keys
from agenttype_runtime.json_log import Log
from kubernetes.aio.client import Configuration

from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import client, kinds
from agenttype_operator.kube.kinds import Kind, Raw
from agenttype_operator.metrics import Metrics

log = Log("watch")


#: A daemon thread that hangs for longer dies with the process.
_STOP_SECONDS = 3.0


class Backoffs:
    """Endless delays in seconds: kopf gives up, and ends, when its delays run out."""

    def __iter__(self) -> Iterator[float]:
        """Begin again: 1, 2, 4 … 30, each stretched a little."""
        delay = 1.0
        while True:
            yield delay * random.uniform(0.8, 1.2)  # noqa: S311 — jitter
            delay = min(30.0, delay * 2)


def registry(informer: Informer, configuration: Configuration) -> kopf.OperatorRegistry:
    """Register what kopf shall call.

    Args:
        informer: where events go, in the thread that calls this.
        configuration: where the API server is.
    """
    loop = asyncio.get_running_loop()
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**client.connection(configuration))

    @kopf.on.startup(registry=handlers)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        _configure(settings)

    for kind in kinds.WATCHED:
        _register(handlers, kind, informer, loop)
    return handlers


def _register(handlers: kopf.OperatorRegistry, kind: Kind, informer: Informer, loop: asyncio.AbstractEventLoop) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=kind.name)
    async def changed(event: Any, **_: Any) -> None:
        # Parts of a listing lack what every object has by itself.
        raw: Raw = {"apiVersion": kind.api_version, "kind": kind.name, **event["object"]}
        observe = informer.observe_deletion if event["type"] == "DELETED" else informer.observe
        loop.call_soon_threadsafe(observe, kind, raw)


def _configure(settings: kopf.OperatorSettings) -> None:
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = 270 + random.randrange(30)  # noqa: S311 — so that replicas do not relist together
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = Backoffs()
    settings.networking.enforce_retry_after = True
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 1.0
    settings.process.ultimate_exiting_timeout = None  # it would kill this process when only kopf restarts
    for kind in kinds.WATCHED:
        if kind.ours:
            selectors: Any = settings.watching.label_selectors
            selectors[kind.group, kind.version, kind.plural] = kinds.SELECTOR


async def run(handlers: kopf.OperatorRegistry, namespaces: Sequence[str], metrics: Metrics) -> None:
    """Watch for ever: kopf ends on faults of the API server, and is then started again.

    Args:
        handlers: what kopf calls.
        namespaces: those that are served; empty: all.
        metrics: where restarts are counted.
    """
    delay = 1.0
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            await _in_thread(handlers, namespaces)
            log.warning("watching ended; starting again")
        except Exception:
            log.exception("watching failed; starting again")
        metrics.restarts.inc()
        delay = 1.0 if loop.time() - began > 60 else min(30.0, delay * 2)  # noqa: PLR2004 — a minute is a long life
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 — jitter


async def _in_thread(handlers: kopf.OperatorRegistry, namespaces: Sequence[str]) -> None:
    """Run kopf once, in its own thread; end it when cancelled."""
    stop = threading.Event()
    ended: concurrent.futures.Future[None] = concurrent.futures.Future()

    def body() -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=handlers,
                    clusterwide=not namespaces,
                    namespaces=list(namespaces),
                    stop_flag=stop,
                    # Left to itself kopf asks for its user's name, and the numeric uid of an image has none.
                    identity=keys.FIELD_MANAGER,  # type: ignore[arg-type]  # a str type that kopf hides
                )
            )
            ended.set_result(None)
        except BaseException as error:  # noqa: BLE001 — carried over to the task that waits
            ended.set_exception(error)

    threading.Thread(target=body, name="kopf", daemon=True).start()
    waiting = asyncio.wrap_future(ended)
    try:
        await asyncio.shield(waiting)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait({waiting}, timeout=_STOP_SECONDS)
        raise
