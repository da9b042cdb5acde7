"""What is asked of a peer in bench/sidecar.py, and what is read of its process meanwhile."""

import contextlib
import os
import re
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import proxy
from sidecar_peers import CACHE

PATH = "/v1/chat/completions"
TEXT = "word " * 180  # the whole body is about 1 KB
EVENTS = 51  # in one burst
_SENT = re.compile(rb'"content":\s?"(\d{10,})"')
_END = b"0\r\n\r\n"
_PATIENCE = 60  # seconds until an answer that does not come ends the run
_BLOCK = 65_536


@dataclass(frozen=True)
class Rate:
    """What wrk saw: requests answered, of them a second, and latencies in microseconds."""

    requests: int
    rate: float
    p50: float
    p99: float


def body(model: str, *, stream: bool) -> str:
    """Return a chat's JSON, without a quote that a shell or Lua would mind."""
    streaming = ',"stream":true,"stream_options":{"include_usage":true}' if stream else ""
    return f'{{"model":"{model}","messages":[{{"role":"user","content":"{TEXT}"}}],"max_tokens":256{streaming}}}'


def load(port: int, model: str, connections: int, seconds: int) -> Rate:
    """Load a port with wrk, which keeps so many connections busy.

    An answer other than 2xx, or none, ends the benchmark.
    """
    lines = [
        'wrk.method = "POST"',
        'wrk.headers["content-type"] = "application/json"',
        'wrk.headers["authorization"] = "Bearer placeholder"',
        f"wrk.body = '{body(model, stream=model != 'json')}'",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines))
        script.flush()
        flags = ["-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={_PATIENCE}s", "--latency", "-s", script.name]
        command = [*wrk(), *flags, proxy.origin(port) + PATH]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"the run had errors:\n{output}")
    return Rate(
        int(proxy.found(r"(\d+) requests in", output)[0]),
        float(proxy.found(r"Requests/sec:\s+([\d.]+)", output)[0]),
        proxy.microseconds(*proxy.found(r"50%\s+([\d.]+)(us|ms|s)", output)),
        proxy.microseconds(*proxy.found(r"99%\s+([\d.]+)(us|ms|s)", output)),
    )


def wrk() -> list[str]:
    """Return the command that runs wrk: the system's, or Debian's unpacked in the cache."""
    installed = shutil.which("wrk")
    if installed:
        return [installed]
    place = CACHE / "wrk"
    if not (place / "usr" / "bin" / "wrk").exists():
        if shutil.which("apt-get") is None:
            sys.exit("this benchmark needs wrk, from your system's packages")
        place.mkdir(parents=True, exist_ok=True)
        packages = ["wrk", "libluajit-5.1-2", "libluajit-5.1-common"]
        subprocess.run(["apt-get", "download", "--quiet", *packages], cwd=place, check=True)
        for archive in place.glob("*.deb"):
            subprocess.run(["dpkg", "--extract", str(archive), str(place)], check=True)
    (library,) = place.glob("usr/lib/*/libluajit-5.1.so.2")
    return ["env", f"LD_LIBRARY_PATH={library.parent}", str(place / "usr" / "bin" / "wrk")]


def event_delays(port: int, streams: int) -> list[float]:
    """Return how long each event of paced streams was under way, in microseconds."""
    delays = []
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(streams):
            caller = stack.enter_context(_connected(port))
            caller.sendall(_request("paced"))
            selector.register(caller, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(_PATIENCE)
            if not ready:
                sys.exit("a stream stopped arriving")
            for key, _ in ready:
                data = key.fileobj.recv(_BLOCK)  # type: ignore[union-attr]
                now = time.monotonic_ns()
                delays += [(now - int(sent)) / 1e3 for sent in _SENT.findall(data)]
                if not data or b"[DONE]" in data:
                    selector.unregister(key.fileobj)
    return delays


def first_bytes(port: int, seconds: float) -> list[float]:
    """Return how long streams, one after another, took from the request to their first event, in microseconds."""
    waits = []
    until = time.monotonic() + seconds
    with _connected(port) as caller:
        while time.monotonic() < until:
            waits.append(_stream(caller, "short"))
    return waits


def _stream(caller: socket.socket, model: str) -> float:
    request = _request(model)
    began = time.monotonic_ns()
    caller.sendall(request)
    answer = caller.recv(_BLOCK)
    while b"data:" not in answer:
        answer += _more(caller)
    first = time.monotonic_ns()
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"a stream was refused:\n{answer.decode()}")
    while not answer.endswith(_END):
        answer += _more(caller)
    return (first - began) / 1e3


@contextlib.contextmanager
def open_streams(port: int, count: int) -> Iterator[None]:
    """Hold so many streams open, each with its first event read."""
    with contextlib.ExitStack() as stack:
        callers = []
        for _ in range(count):
            caller = stack.enter_context(_connected(port))
            caller.sendall(_request("hold"))
            callers.append(caller)
        for caller in callers:
            answer = b""
            while b"data:" not in answer:
                answer += _more(caller)
        yield


def _connected(port: int) -> socket.socket:
    caller = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
    caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return caller


def _request(model: str) -> bytes:
    content = body(model, stream=True).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer placeholder\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _more(caller: socket.socket) -> bytes:
    data = caller.recv(_BLOCK)
    if not data:
        sys.exit("a stream ended before its time")
    return data


def processes(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in processes(int(child)))]


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process and its descendants so far, from the kernel's own clocks."""
    return sum(time.clock_gettime((~each << 3) | 2) for each in processes(pid))


def memory_mib(pid: int) -> dict[str, float]:
    """Return the resident and the proportional size of a process and its descendants."""
    sizes = {"rss": 0, "pss": 0}
    for each in processes(pid):
        text = Path(f"/proc/{each}/smaps_rollup").read_text()
        for name in sizes:
            sizes[name] += int(proxy.found(rf"(?m)^{name.capitalize()}:\s+(\d+) kB", text)[0])
    return {name: size / 1024 for name, size in sizes.items()}


def pin(core: int, thread: int = 0) -> None:
    """Keep a thread, and what it starts from now on, on one core; where there is one only, do nothing.

    Args:
        core: the core.
        thread: its id; 0 is the caller's own.
    """
    if (os.cpu_count() or 1) > core:
        os.sched_setaffinity(thread, {core})
