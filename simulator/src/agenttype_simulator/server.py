"""The process: opens the port, says which it is, and ends when told to."""

import json
import socket
import struct
import sys
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from agenttype_simulator.app import App
from agenttype_simulator.options import Options
from agenttype_simulator.service import Service

LAST_BREATH = 0.25  # seconds that vLLM was seen to answer after its engine died


class _Protocol(HttpToolsProtocol):
    """Adds to each request a way to break its connection, which ASGI lacks."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: dict[str, Any] = {"simulator.reset": self._reset}
        self.scope["extensions"] = extensions

    def _reset(self) -> None:
        connection: Any = self.transport.get_extra_info("socket")
        # Lingering for zero seconds makes the close a reset, which a caller sees as a broken connection.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Server(uvicorn.Server):
    """Prints `{"port": N}` as soon as the port is open; ends soon after its engine died."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for opened in self.servers:
            for listening in opened.sockets:
                sys.stdout.write(json.dumps({"port": listening.getsockname()[1]}) + "\n")
        sys.stdout.flush()

    async def on_tick(self, counter: int) -> bool:
        died = self._service.dead_since
        return await super().on_tick(counter) or (died is not None and time.monotonic() > died + LAST_BREATH)


def serve(options: Options) -> None:
    """Serve until a signal ends the process, or until the engine dies, which ends it with code 1."""
    time.sleep(options.start_delay_seconds)
    service = Service(options)
    for name, path in options.lora_modules:
        service.adapters.load(name, path)
    config = uvicorn.Config(
        App(service),
        host=options.host,
        port=options.port,
        http=_Protocol,
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    _Server(config, service).run()
    if service.dead_since is not None:
        sys.exit(1)
