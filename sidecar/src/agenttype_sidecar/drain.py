"""The end of a sidecar that was told to end: calls that are running end well, new ones are still answered meanwhile.

The listeners close their connections after it (`agenttype_proxy.server`); the kubelet may ask for it earlier
(`/drain` of `ports.health`), which only makes the pod not ready.
"""

import asyncio

from agenttype_runtime import process

from agenttype_sidecar.control.observations import Observations
from agenttype_sidecar.telemetry.activity import Activity


async def drain(
    told: asyncio.Event, stop: asyncio.Event, activity: Activity, observations: Observations, seconds: float
) -> None:
    """Wait until `told` to end, then for running calls, then set `stop`.

    Calls go on being answered while others are running: an agent may need several to end well.

    Args:
        told: set by a signal.
        stop: closes the listeners once it is set.
        activity: tells whether calls are running.
        observations: shows that the sidecar drains, and has watchers that are told when it is over.
        seconds: the longest wait for running calls.
    """
    await told.wait()
    observations.life.draining = True
    await process.drained(lambda: bool(activity.running), seconds)
    observations.changes.end()
    stop.set()
