"""Start the prepared engine, measure it, end it; write measured.json beside this file.

    python3 examples/engine/measure.py

Seconds until ready, resident memory of all its processes, and generated tokens per second of one stream: the base
model alone, then each example adapter.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOKENS, ROUNDS, READY_SECONDS = 128, 3, 600
PROMPT = [{"role": "user", "content": "Tell a long story about a lighthouse."}]


def call(url: str, body: dict[str, object] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return answer.read()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> float:
    """Return the seconds until the engine answered."""
    start = time.monotonic()
    while time.monotonic() - start < READY_SECONDS and process.poll() is None:
        try:
            call(f"{url}/health")
        except OSError:
            time.sleep(0.2)
        else:
            return round(time.monotonic() - start, 1)
    raise SystemExit(f"the engine is not ready (exit code {process.poll()})")


def resident_gib(session: int) -> float:
    """Return the resident memory of all processes of a session."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pages += int(fields[21]) if int(fields[3]) == session else 0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**30, 2)


def tokens_per_second(url: str, model: str) -> list[float]:
    """Return the speed of each round; a short call before them warms the adapter."""
    body = {"model": model, "messages": PROMPT, "temperature": 0, "ignore_eos": True}
    call(f"{url}/v1/chat/completions", body | {"max_tokens": 4})
    speeds = []
    for _ in range(ROUNDS):
        start = time.monotonic()
        call(f"{url}/v1/chat/completions", body | {"max_tokens": TOKENS})
        speeds.append(round(TOKENS / (time.monotonic() - start), 1))
    return speeds


def measure(url: str, process: subprocess.Popen[bytes]) -> dict[str, object]:
    ready = wait_until_ready(url, process)
    speeds = {"base": tokens_per_second(url, "base")}
    for name in ("green", "red"):
        folder = str(HERE.parent / "adapters" / name)
        call(f"{url}/v1/load_lora_adapter", {"lora_name": name, "lora_path": folder})
        speeds[name] = tokens_per_second(url, name)
    return {
        "command": "python3 examples/engine/measure.py",
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "load_before": round(os.getloadavg()[2], 1),
        "ready_seconds": ready,
        "resident_gib": resident_gib(process.pid),
        "tokens_per_second": speeds,
    }


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, str(HERE / "serve.py"), "--host", "127.0.0.1", "--port", port]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        found = measure(f"http://127.0.0.1:{port}", process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    (HERE / "measured.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
