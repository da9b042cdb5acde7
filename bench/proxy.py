"""What a hop through the proxy room costs: direct against through a pass-through app, in one run.

`uv run python bench/proxy.py [--rounds 7] [--seconds 2]` prints a table and writes bench/results/proxy.json.

Each round measures every variant once, direct and proxied next to each other, so that a busy machine slows both;
the figures are medians over the rounds with their spread. Requests per core is what one busy core would carry: one
second divided by the processor time that the proxy's process used per request.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agenttype_proxy import loop
from agenttype_proxy.client import Client
from agenttype_proxy.messages import Deadlines, Origin, Request
from agenttype_proxy.sse import EventReader

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "proxy.json"
STREAMS = 8
EVENTS = 51  # in one answer of the upstream's /burst
SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer placeholder"
wrk.body = '{"model":"m","messages":[{"role":"user","content":"' .. string.rep("word ", 200) .. '"}]}'
"""
TARGETS = {"added_p50_ms": 0.25, "requests_per_core": 10_000}


@dataclass(frozen=True)
class Load:
    """One run of wrk: connections and path."""

    name: str
    connections: int
    path: str


LOADS = [Load("json_1", 1, "/json"), Load("json_32", 32, "/json"), Load("burst_32", 32, "/burst")]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("this benchmark needs wrk: apt-get install wrk")
    before = steal()
    with served("proxy_upstream.py") as (upstream, _), served("proxy_passthrough.py", origin(upstream)) as (port, pid):
        ports = {"direct": upstream, "proxied": port}
        rounds = [one_round(ports, pid, options.seconds) for _ in range(options.rounds)]
        resident_mib = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    figures = summary(rounds)
    report = {
        "what": "one hop through a pass-through app of agenttype_proxy, against the same upstream asked directly",
        "command": f"uv run python bench/proxy.py --rounds {options.rounds} --seconds {options.seconds}",
        "machine": machine() | {"load_average_at_end": os.getloadavg()[0], "stolen_percent": steal(before)},
        "versions": versions(),
        "targets": TARGETS,
        "resident_mib": round(resident_mib, 1),
        "figures": figures,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(table(figures))
    print(f"\nresident {resident_mib:.0f} MiB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def origin(port: int) -> str:
    """Return the URL of a local server."""
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def served(script: str, *arguments: str) -> Iterator[tuple[int, int]]:
    """Run a server; give its port and its process id."""
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def one_round(ports: dict[str, int], pid: int, seconds: int) -> dict[str, float]:
    """Measure every variant once."""
    figures: dict[str, float] = {}
    for load in LOADS:
        for side, port in ports.items():
            used = processor_seconds(pid)
            requests, rate, p50, p99 = wrk(load, port, seconds)
            used = processor_seconds(pid) - used
            figures |= {f"{load.name}.{side}.rate": rate, f"{load.name}.{side}.p50_us": p50}
            figures |= {f"{load.name}.{side}.p99_us": p99}
            if side == "proxied":
                figures[f"{load.name}.processor_us"] = used / requests * 1e6
    for side, port in ports.items():
        delays = loop.run(paced(port))
        figures[f"paced.{side}.p50_us"] = statistics.median(delays)
        figures[f"paced.{side}.p99_us"] = statistics.quantiles(delays, n=100)[98]
    return figures


def wrk(load: Load, port: int, seconds: int) -> tuple[int, float, float, float]:
    """Return requests, requests per second, and the latency's median and 99th percentile in microseconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT)
        script.flush()
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--latency", "-s", script.name]
        output = subprocess.run([*command, origin(port) + load.path], check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"the run had errors:\n{output}")
    return (
        int(found(r"(\d+) requests in", output)[0]),
        float(found(r"Requests/sec:\s+([\d.]+)", output)[0]),
        microseconds(*found(r"50%\s+([\d.]+)(us|ms|s)", output)),
        microseconds(*found(r"99%\s+([\d.]+)(us|ms|s)", output)),
    )


def found(pattern: str, text: str) -> tuple[str, ...]:
    """Return the groups of a pattern that must be there."""
    match = re.search(pattern, text)
    if match is None:
        sys.exit(f"wrk said something unexpected:\n{text}")
    return match.groups()


def microseconds(value: str, unit: str) -> float:
    """Return wrk's time as microseconds."""
    return float(value) * {"us": 1, "ms": 1_000, "s": 1_000_000}[unit]


async def paced(port: int) -> list[float]:
    """Return how long each event of a few paced streams was under way, in microseconds."""
    client = Client()
    streams = await asyncio.gather(*(one_stream(client, port) for _ in range(STREAMS)))
    await client.close()
    return [delay for stream in streams for delay in stream]


async def one_stream(client: Client, port: int) -> list[float]:
    """Return the delays of one stream's events."""
    request = Request(b"POST", b"/paced", [], b"{}")
    reader, delays = EventReader(), []
    async with await client.send(Origin.parse(origin(port)), request, Deadlines(2, 10, 10, None)) as response:
        async for chunk in response.chunks():
            now = time.monotonic_ns()
            delays += [(now - int(event.data)) / 1e3 for event in reader.feed(chunk)]
    return delays


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return medians and spreads, and what follows from them."""
    columns = {name: [figures[name] for figures in rounds] for name in rounds[0]}
    for name in [load.name for load in LOADS] + ["paced"]:
        pairs = zip(columns[f"{name}.proxied.p50_us"], columns[f"{name}.direct.p50_us"], strict=True)
        columns[f"{name}.added_p50_us"] = [proxied - direct for proxied, direct in pairs]
    for load in LOADS:
        columns[f"{load.name}.requests_per_core"] = [1e6 / cost for cost in columns[f"{load.name}.processor_us"]]
    columns["burst_32.processor_us_per_event"] = [cost / EVENTS for cost in columns["burst_32.processor_us"]]
    return {name: spread(values) for name, values in sorted(columns.items())}


def spread(values: list[float]) -> dict[str, float]:
    """Return a figure's median with its extremes."""
    return {"median": round(statistics.median(values), 1), "min": round(min(values), 1), "max": round(max(values), 1)}


def table(figures: dict[str, Any]) -> str:
    """Return the figures for reading."""
    lines = [f"{'':38} {'median':>10} {'min':>10} {'max':>10}"]
    lines += [f"{name:38} {f['median']:>10} {f['min']:>10} {f['max']:>10}" for name, f in figures.items()]
    return "\n".join(lines)


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def steal(before: tuple[int, int] | None = None) -> Any:
    """Return stolen and all clock ticks so far, or the percentage stolen since ``before``."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    now = ticks[7], sum(ticks[:8])
    return now if before is None else round((now[0] - before[0]) / max(1, now[1] - before[1]) * 100, 1)


def machine() -> dict[str, Any]:
    """Return the machine's size."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "processor": model.group(1) if model else platform.machine(),
        "memory_gib": round(memory),
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    """Return what was measured with what."""
    names = ["httptools", "uvloop"]
    wrk_says = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True).stdout
    packages = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), "wrk": wrk_says.split()[1], **packages}


if __name__ == "__main__":
    main()
