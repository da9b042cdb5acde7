"""What the wrapper adds to the start of a Python process.

`uv run python bench/wrapper.py [--rounds 200] [--python /path/to/python …]` writes bench/results/wrapper.json and
ends with 1 if the median of the paired differences is above the limit.

Each round starts every variant once, in random order, so that a busy machine slows all of them alike; the figures
are differences within a round, of wall-clock and of processor time. `bare` has no PYTHONPATH.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "bench" / "results" / "wrapper.json"
LIMIT_MS = 3.0
SIDECAR = {"LLM_SIDECAR_URL": "http://127.0.0.1:15001"}


class Cost(NamedTuple):
    """Milliseconds of one start."""

    wall: float
    processor: float

    def beyond(self, base: "Cost") -> "Cost":
        """Return what this start took more than another."""
        return Cost(self.wall - base.wall, self.processor - base.processor)


def main() -> int:
    """Measure, write, compare with the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--python", action="append", help="interpreters to start; default: this one")
    options = parser.parse_args()
    figures = [measure(python, options.rounds) for python in options.python or [sys._base_executable]]  # noqa: SLF001 — a venv's own files are not what is measured
    machine = {"cores": os.cpu_count(), "memory_gib": memory_gib(), "kernel": platform.release()}
    RESULT.parent.mkdir(exist_ok=True)
    report = {
        "what": "milliseconds that the wrapper adds to `python -c pass`, paired with a bare start in the same round",
        "command": " ".join(["uv run python bench/wrapper.py", *(Path(argument).name for argument in sys.argv[1:])]),
        "machine": machine,
        "load_average_at_end": os.getloadavg()[0],
        "limit_ms": LIMIT_MS,
        "figures": figures,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return int(any(figure["active"]["wall"]["median_ms"] > LIMIT_MS for figure in figures))


def measure(python: str, rounds: int) -> dict:
    """Return the added cost of each variant under one interpreter."""
    with tempfile.TemporaryDirectory() as volume:
        compiled, sources = install(python, Path(volume, "compiled")), install(python, Path(volume, "sources"))
        forget_bytecode(sources)
        variants = {
            "bare": {},
            "active": {"PYTHONPATH": str(compiled), **SIDECAR},
            "active_without_bytecode": {"PYTHONPATH": str(sources), **SIDECAR},
            "off": {"PYTHONPATH": str(compiled), "AGENTTYPE_WRAPPER": "off", **SIDECAR},
        }
        times: dict[str, list[Cost]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name in random.sample(list(variants), len(variants)):
                times[name].append(start(python, variants[name]))
        restore_modes(sources)
        restore_modes(compiled)
    bare = times.pop("bare")
    added = {
        name: spreads([own.beyond(base) for own, base in zip(own, bare, strict=True)]) for name, own in times.items()
    }
    version = subprocess.check_output([python, "-c", "import platform; print(platform.python_version())"], text=True)
    return {"python": version.strip(), "rounds": rounds, "bare": spreads(bare), **added}


def start(python: str, environment: dict[str, str]) -> Cost:
    """Start one process and wait for its end."""
    began = time.perf_counter()
    pid = os.posix_spawn(python, [python, "-c", "pass"], environment)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise RuntimeError(f"{python} ended with {status}")
    return Cost(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000)


def install(python: str, volume: Path) -> Path:
    """Install as the init container does, so that the bytecode fits the interpreter."""
    command = [python, "-m", "agenttype_wrapper.install", "--to", str(volume)]
    subprocess.run(command, env={"PYTHONPATH": str(ROOT / "wrapper" / "src")}, check=True, stdout=subprocess.DEVNULL)
    return volume / "python"


def forget_bytecode(tree: Path) -> None:
    """Make the tree what an agent with another minor version finds; read-only, so that it stays so."""
    for cached in [*tree.rglob("__pycache__")]:
        cached.parent.chmod(0o755)
        cached.chmod(0o755)
        for file in cached.iterdir():
            file.unlink()
        cached.rmdir()
        # Root writes into read-only folders: a file in the cache's place keeps the bytecode away.
        cached.touch()


def restore_modes(tree: Path) -> None:
    """Let the temporary directory be removed."""
    for directory in [tree, *tree.rglob("*")]:
        if directory.is_dir():
            directory.chmod(0o755)


def spreads(costs: list[Cost]) -> dict[str, dict[str, float]]:
    """Return the spread of both times."""
    return {"wall": spread([cost.wall for cost in costs]), "processor": spread([cost.processor for cost in costs])}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, 10th and 90th percentile, and the standard error of the mean."""
    tenths = statistics.quantiles(values, n=10)
    error = statistics.stdev(values) / len(values) ** 0.5
    figures = {"median": statistics.median(values), "p10": tenths[0], "p90": tenths[-1], "standard_error": error}
    return {f"{name}_ms": round(value, 3) for name, value in figures.items()}


def memory_gib() -> float:
    """Return the machine's memory."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


if __name__ == "__main__":
    sys.exit(main())
