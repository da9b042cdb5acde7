"""Start three NATS servers that keep every stream thrice, as processes; end them by their own ids.

async with nats_cluster() as cluster:
    ...connect to cluster.url...
    (await cluster.leader(stream)).kill()
    cluster.servers[0].start()
    cluster.servers[1].empty()      # its folder is deleted
"""

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import nats

from support.ports import free_port
from support.programs.nats_servers import binary, stop
from support.waiting import until_async


class Server:
    """One server of a cluster; `start` after `kill` takes the same ports and finds the same data."""

    def __init__(self, folder: Path, port: int, cluster: int, routes: str) -> None:
        self.name = folder.name
        self.url = f"nats://127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [
            binary(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder / "data"), "-n", self.name,
            "--cluster_name", "agenttype", "--cluster", f"nats://127.0.0.1:{cluster}", "--routes", routes,
        ]  # fmt: skip

    def start(self) -> None:
        """Start it; when it is of use the cluster knows."""
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log)

    def kill(self) -> None:
        """Kill -9."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it as a rolling restart does."""
        self._process.terminate()
        self._process.wait()

    def pause(self) -> None:
        """Leave it its sockets, and let it say nothing."""
        stop(self._process)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Delete all that it keeps, while it is dead."""
        shutil.rmtree(self._folder / "data")


class Cluster:
    """Three servers; `url` names all of them."""

    def __init__(self, folder: Path) -> None:
        ports = [(free_port(), free_port()) for _ in range(3)]
        routes = ",".join(f"nats://127.0.0.1:{cluster}" for _, cluster in ports)
        self.servers = [Server(folder / f"n{number}", *pair, routes) for number, pair in enumerate(ports)]

    @property
    def url(self) -> str:
        return "nats://" + ",".join(server.url.removeprefix("nats://") for server in self.servers)

    async def leader(self, stream: str) -> Server:
        """The server that leads a stream, once there is one."""
        told = await self._until(f"STREAM.INFO.{stream}", lambda told: bool(told.get("cluster", {}).get("leader")))
        return next(server for server in self.servers if server.name == told["cluster"]["leader"])

    async def followers(self, stream: str) -> list[Server]:
        leader = await self.leader(stream)
        return [server for server in self.servers if server is not leader]

    async def until_whole(self, *streams: str) -> None:
        """Wait until all three servers have all that these streams have."""
        for stream in streams:
            await self._until(f"STREAM.INFO.{stream}", _is_whole)

    async def until_ready(self) -> None:
        """Wait until streams can be made."""
        await self._until("INFO", lambda told: "error" not in told)

    async def _until(self, question: str, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        told: dict[str, Any] = {}

        async def says_so() -> bool:
            nonlocal told
            told = await self._asked(question)
            return found(told)

        await until_async(says_so, lambda: f"{question} says {told}")
        return told

    async def _asked(self, question: str) -> dict[str, Any]:
        for server in self.servers:
            try:
                client = await nats.connect(server.url, allow_reconnect=False, connect_timeout=1, error_cb=_quiet)
            except (OSError, TimeoutError, nats.errors.Error):
                continue
            try:
                return json.loads((await client.request(f"$JS.API.{question}", b"", timeout=1)).data)
            except (TimeoutError, nats.errors.Error):
                continue
            finally:
                await client.close()
        return {"error": "nobody answers"}


class nats_cluster(AbstractAsyncContextManager):  # noqa: N801 — used like a function
    """Starts three servers and waits until they agree."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._cluster = Cluster(Path(self._folder.name))

    async def __aenter__(self) -> Cluster:
        for server in self._cluster.servers:
            server.start()
        await self._cluster.until_ready()
        return self._cluster

    async def __aexit__(self, *_: object) -> None:
        for server in self._cluster.servers:
            server.kill()
        self._folder.cleanup()


def _is_whole(told: dict[str, Any]) -> bool:
    peers = told.get("cluster", {}).get("replicas", [])
    return len(peers) == 2 and all(peer["current"] and not peer.get("lag") for peer in peers)


async def _quiet(_: Exception) -> None:
    """Errors show in what is asked."""
