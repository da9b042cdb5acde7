"""The parts put together, and how they begin and end."""

import asyncio
import time
from typing import Final

from agenttype_api import keys
from agenttype_authn.token_reviews import TokenReviews
from agenttype_proxy.client import Client, ClientLimits
from agenttype_proxy.messages import Deadlines
from agenttype_proxy.server import ServedApp, ServerLimits, serve
from agenttype_runtime import process

from agenttype_gate.adapter_controller import AdapterController
from agenttype_gate.adapter_store import AdapterStore
from agenttype_gate.api_server import ApiServer
from agenttype_gate.control import ControlPort
from agenttype_gate.document import DocumentFile
from agenttype_gate.engine import Engine
from agenttype_gate.fair_queue import FairQueue
from agenttype_gate.front_proxy import FrontProxy, Wire
from agenttype_gate.health import HealthPort
from agenttype_gate.metrics import Metrics
from agenttype_gate.options import Options
from agenttype_gate.status import Status

#: Callers of all agents together; what exceeds the engine's places waits here, in memory.
_CONNECTIONS: Final = 4096


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then leave in order: unready, a while, drained, gone."""
    status, metrics, document = (
        Status(),
        Metrics(),
        DocumentFile(options.policy, options.linger_seconds, time.monotonic),
    )
    document.look()
    api_server = ApiServer(options.api_server, options.api_token, options.api_ca)
    inner, outer = Client(), Client(ClientLimits(connections=options.max_concurrent))
    engine = Engine(inner, options.engine)
    deadlines = Deadlines(connect=2.0, first_byte=options.first_byte_seconds, idle=options.idle_seconds, total=None)
    front_proxy = FrontProxy(
        document,
        TokenReviews(api_server, keys.TOKEN_AUDIENCE, time.monotonic, on_review=metrics.reviewed),
        status,
        engine,
        Wire(outer, options.engine, deadlines, FairQueue(options.max_concurrent), options.max_body, options.max_held),
        metrics,
    )
    controller = AdapterController(
        document, engine, AdapterStore(options.adapter_source, options.adapters, options.max_adapter), status, metrics
    )

    listeners = [
        ServedApp(front_proxy, options.host, options.gate_port),
        ServedApp(HealthPort(document, status, engine), options.host, options.health_port),
        ServedApp(ControlPort(document, status, engine, metrics), options.host, options.control_port),
    ]
    limits = ServerLimits(connections=_CONNECTIONS, body_bytes=options.max_held)
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(controller.run(options.check_seconds, options.base_config)),
                group.create_task(document.watch(status.wake)),
                group.create_task(_leave(process.stop_event(), status, stop, options.lame_duck_seconds)),
            ]
            await serve(listeners, limits=limits, stop=stop, drain_seconds=options.drain_seconds, on_ready=_say_ready)
            for task in background:
                task.cancel()
    finally:
        for client in (inner, outer, api_server):
            await client.close()


async def _leave(told: asyncio.Event, status: Status, stop: asyncio.Event, lame_duck: float) -> None:
    """On a signal: unready at once, closed a while later, for what sends us calls learns of it only by and by."""
    await told.wait()
    status.leaving = True
    await asyncio.sleep(lame_duck)
    stop.set()


def _say_ready(ports: list[int]) -> None:
    gate, health, control = ports
    process.say_ready(gate=gate, health=health, control=control)
