"""kopf, as a shell: it finds out what changed, and nothing else.

The only module that imports kopf. No state-keeping handlers, timers, daemons, indexes, finalizers, webhooks or peering:
events go into the world, and what follows from them is decided elsewhere.
"""

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from typing import Any

import kopf
from kubernetes.aio import client

from agenttype_operator import cluster, kinds
from agenttype_operator.kinds import Kind, Raw
from agenttype_operator.metrics import Metrics
from agenttype_operator.world import World

log = logging.getLogger(__name__)


class Backoffs:
    """Endless delays in seconds: kopf gives up, and ends, when its delays run out."""

    def __iter__(self) -> Iterator[float]:
        """Start anew: 1, 2, 4 … 30, each stretched a little."""
        delay = 1.0
        while True:
            yield delay * random.uniform(0.8, 1.2)  # noqa: S311 — jitter
            delay = min(30.0, delay * 2)


def registry(world: World, found: client.Configuration) -> kopf.OperatorRegistry:
    """Register what kopf shall call.

    Args:
        world: where events go.
        found: where the API server is.
    """
    handlers = kopf.OperatorRegistry()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(**cluster.connection(found))

    @kopf.on.startup(registry=handlers)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        _configure(settings)

    for kind in kinds.WATCHED:
        _watch(handlers, kind, world)
    return handlers


def _watch(handlers: kopf.OperatorRegistry, kind: Kind, world: World) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=kind.name)
    async def seen(event: Any, **_: Any) -> None:
        # Parts of a listing lack what every object has by itself.
        raw: Raw = {"apiVersion": kind.api_version, "kind": kind.name, **event["object"]}
        if event["type"] == "DELETED":
            world.deleted(kind, raw)
        else:
            world.seen(kind, raw)


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
    settings.process.ultimate_exiting_timeout = 15
    for kind in kinds.WATCHED:
        if kind.ours:
            selectors: Any = settings.watching.label_selectors
            selectors[kind.group, kind.version, kind.plural] = kinds.SELECTOR


async def watch(world: World, found: client.Configuration, namespaces: Sequence[str], metrics: Metrics) -> None:
    """Watch for ever: kopf ends on faults of the API server, and is then started again.

    Args:
        world: where events go.
        found: where the API server is.
        namespaces: those that are served; empty: all.
        metrics: where restarts are counted.
    """
    delay = 1.0
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        stop = asyncio.Event()
        try:
            await kopf.operator(
                registry=registry(world, found),
                clusterwide=not namespaces,
                namespaces=list(namespaces),
                stop_flag=stop,
            )
            log.warning("watching ended; starting again")
        except Exception:
            log.exception("watching failed; starting again")
        metrics.restarts.inc()
        delay = 1.0 if loop.time() - began > 60 else min(30.0, delay * 2)  # noqa: PLR2004 — a minute is a long life
        await asyncio.sleep(delay * random.uniform(0.8, 1.2))  # noqa: S311 — jitter
