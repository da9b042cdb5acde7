"""What the sidecar adds to a call, beside what others add: one run, one machine, one upstream, one body.

`uv run python bench/sidecar.py [--quick] [--rounds 7] [--only ours,envoy]` prints two tables and writes
bench/results/sidecar.json and docs/images/sidecar-bench.svg; with `--only` or `--quick` it writes nothing unless
`--write` is given.

Each peer runs alone on core 0 while it is measured (the others are stopped, not ended); the upstream and the callers
run on core 1. Latency at one connection is also measured with all of them on core 1 (`beside`), where no sleeping core
has to be woken. Each round measures every peer once, direct first, so that a busy machine slows all; figures are
medians over the rounds with their extremes. What a peer adds is its figure less direct's of the same round. Requests
per core is what one busy core would carry: one second divided by the processor time that the peer used per request.
The peers other than ours do no policy work unless their name says so.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import picture
import proxy
import sidecar_load as load
import sidecar_tables as tables
from sidecar_peers import CACHE, PEERS, Peer, Place, free_port

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "sidecar.json"
PICTURE = HERE.parent / "docs" / "images" / "sidecar-bench.svg"
DIRECT = "direct"
STREAMS = 8
OPEN_STREAMS = 500
STARTS = 5
SLOW_ROUNDS = 2
SLOW_SECONDS = 4
MEASURED_CORE, OTHER_CORE = 0, 1
TARGETS = {
    "added_p50_us": 250,
    "added_p99_us": 1000,
    "requests_per_core": 10_000,
    "times_litellm_per_core": 50,
    "added_us_per_event": 100,
    "added_first_byte_us": 500,
    "resident_mib_with_500_streams": 64,
    "start_to_ready_ms": 700,
}


@dataclass
class Running:
    """A started peer and what has been measured of it, each figure once a round."""

    peer: Peer
    process: subprocess.Popen[bytes]
    port: int
    started_ms: float
    figures: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        """Add one value of a figure."""
        self.figures.setdefault(name, []).append(value)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let it run; at all other times it is stopped."""
        self._signal(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal(signal.SIGSTOP)

    @contextlib.contextmanager
    def beside_its_callers(self) -> Iterator[None]:
        """Let it run on the core of those who call it: no core sleeps and must be woken, which a VM makes dear."""
        self._move(OTHER_CORE)
        try:
            yield
        finally:
            self._move(MEASURED_CORE)

    def _move(self, core: int) -> None:
        for pid in load.processes(self.process.pid):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                load.pin(core, int(thread.name))

    def _signal(self, number: int) -> None:
        for pid in load.processes(self.process.pid):
            os.kill(pid, number)


def main() -> None:
    """Measure, print, write."""
    options = _options()
    chosen = [peer for peer in PEERS if not options.only or peer.name in options.only.split(",")]
    began, average, ticks = time.monotonic(), os.getloadavg()[0], proxy.steal()
    load.pin(OTHER_CORE)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        upstream = stack.enter_context(_upstream())
        runners = [stack.enter_context(_started(peer, upstream, Path(folder), options.starts)) for peer in chosen]
        direct: dict[str, list[float]] = {}
        for number in range(options.rounds):
            base = _measured(upstream, 1, None)
            for name, value in base.items():
                direct.setdefault(name, []).append(value)
            for runner in runners:
                if not runner.peer.slow or number < SLOW_ROUNDS:
                    _one_turn(runner, base)
            print(f"round {number + 1} of {options.rounds}, {time.monotonic() - began:.0f} s", flush=True)
        for runner in runners:
            _weigh(runner)
    report = {
        "what": "one hop on a call's way, against the same upstream asked directly",
        "command": " ".join(["uv run python bench/sidecar.py", *sys.argv[1:]]),
        "rounds": options.rounds,
        "seconds": round(time.monotonic() - began),
        "machine": proxy.machine()
        | {"load_average_at_start": average, "stolen_percent": proxy.steal(ticks), "pinned": _pinned()},
        "versions": tables.versions(),
        "targets": TARGETS,
        "peers": {runner.peer.name: {"title": runner.peer.title, "what": runner.peer.what} for runner in runners},
        "direct": tables.summary(direct),
        "figures": {runner.peer.name: tables.summary(runner.figures) for runner in runners},
    }
    report["ratios"] = tables.relations(report)
    print(f"\n{tables.figure_table(report)}\n\n{tables.ratio_table(report)}\n\nload at the start {average:.1f}")
    if "ours" in report["figures"]:
        print(f"\n{tables.target_table(report)}")
    if options.write or not (options.only or options.quick):
        RESULT.write_text(json.dumps(report, indent=2) + "\n")
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(picture.drawn(report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds, one start each")
    parser.add_argument("--only", default="", help="names of peers, with commas")
    parser.add_argument("--write", action="store_true", help="write the results in any case")
    options = parser.parse_args()
    options.starts = 1 if options.quick else STARTS
    if options.quick:
        options.rounds = 2
    return options


@contextlib.contextmanager
def _upstream() -> Iterator[int]:
    """Compile and run the upstream; give its port."""
    compiler = shutil.which("cc") or sys.exit(
        "this benchmark's upstream is written in C: apt-get install gcc libc6-dev"
    )
    program = CACHE / "upstream"
    CACHE.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "sidecar_upstream.c")], check=True)
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextlib.contextmanager
def _started(peer: Peer, upstream: int, folder: Path, starts: int) -> Iterator[Running]:
    """Start a peer as often as its start is timed, and leave the last one stopped."""
    times = []
    for number in range(1 if peer.slow else starts):
        own = folder / f"{peer.name}-{number}"
        own.mkdir()
        with _run(peer, upstream, own) as runner:
            times.append(runner.started_ms)
    own = folder / peer.name
    own.mkdir()
    with _run(peer, upstream, own) as runner:
        for value in [*times, runner.started_ms]:
            runner.note("start_to_ready_ms", value)
        with runner.alone():
            load.load(runner.port, "json", 1, 1)
            for name, size in load.memory_mib(runner.process.pid).items():
                runner.note(f"{name}_mib", size)
        print(f"{peer.title} is ready, {statistics.median(times):.0f} ms", flush=True)
        yield runner


@contextlib.contextmanager
def _run(peer: Peer, upstream: int, folder: Path) -> Iterator[Running]:
    port, ready_port = free_port(), free_port()
    place = Place(folder, proxy.origin(upstream), port, ready_port if peer.own_ready_port else port)
    command = peer.start(place)
    log = (folder / "log").open("wb")
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | dict(peer.environment),
        cwd=folder,
        preexec_fn=lambda: load.pin(MEASURED_CORE),  # noqa: PLW1509 — there are no threads here
    )
    try:
        _await_ready(peer, process, proxy.origin(place.ready_port) + peer.ready, folder / "log")
        yield Running(peer, process, port, (time.monotonic() - began) * 1000)
    finally:
        for pid in load.processes(process.pid) if process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        process.wait()
        log.close()


def _await_ready(peer: Peer, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.002)  # until it listens, and answers 200
    sys.exit(f"{peer.title} does not get ready:\n{log.read_text()[-3000:]}")


def _one_turn(runner: Running, base: dict[str, float]) -> None:
    with runner.alone():
        load.first_bytes(runner.port, 0.2)  # warm again, after having been stopped
        seconds = SLOW_SECONDS if runner.peer.slow else 1
        figures = _measured(runner.port, seconds, runner.process.pid)
        with runner.beside_its_callers():
            beside = load.load(runner.port, "json", 1, seconds)
    figures |= {"beside_1.p50_us": beside.p50, "beside_1.p99_us": beside.p99}
    for name, value in figures.items():
        runner.note(name, value)
    for name in ("json_1.p50_us", "json_1.p99_us"):
        runner.note(name.replace(".", ".added_"), figures[name] - base[name])
        runner.note(
            name.replace("json_1.", "beside_1.added_"), figures[name.replace("json_1", "beside_1")] - base[name]
        )
    runner.note("added_us_per_event", figures["paced.p50_us"] - base["paced.p50_us"])
    runner.note("added_first_byte_us", figures["first_byte.p50_us"] - base["first_byte.p50_us"])


def _measured(port: int, seconds: int, pid: int | None) -> dict[str, float]:
    """Measure everything once."""
    figures = {}
    for name, model, connections in (("json_1", "json", 1), ("json_32", "json", 32), ("burst_32", "burst", 32)):
        before = load.processor_seconds(pid) if pid else 0
        seen = load.load(port, model, connections, seconds)
        used = load.processor_seconds(pid) - before if pid else 0
        figures |= {f"{name}.rate": seen.rate, f"{name}.p50_us": seen.p50, f"{name}.p99_us": seen.p99}
        if pid:
            figures[f"{name}.processor_us"] = used / seen.requests * 1e6
    delays = load.event_delays(port, STREAMS)
    figures |= {"paced.p50_us": statistics.median(delays), "paced.p99_us": statistics.quantiles(delays, n=100)[98]}
    waits = load.first_bytes(port, 0.5)
    figures |= {"first_byte.p50_us": statistics.median(waits), "first_byte.p99_us": max(waits)}
    if pid:
        figures["processor_us_per_request"] = figures["json_32.processor_us"]
        figures["processor_us_per_event"] = figures["burst_32.processor_us"] / load.EVENTS
        figures["requests_per_core"] = 1e6 / figures["json_32.processor_us"]
    return figures


def _weigh(runner: Running) -> None:
    """Measure the memory that many open streams take, once everything else has been done."""
    with runner.alone(), load.open_streams(runner.port, OPEN_STREAMS):
        for name, size in load.memory_mib(runner.process.pid).items():
            runner.note(f"{name}_mib_with_500_streams", size)


def _pinned() -> str:
    both = (os.cpu_count() or 1) > OTHER_CORE
    return f"peer on core {MEASURED_CORE}, the rest on core {OTHER_CORE}" if both else "not at all: one core"


if __name__ == "__main__":
    main()
