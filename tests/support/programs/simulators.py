"""Start the vLLM stand-in as a process; end it by its own id.

    with simulator(tokens_per_second=50) as vllm:
        vllm.fault("/v1/chat/completions", status=500, times=1)
        ...call vllm.url...
        assert vllm.arrived("/v1/chat/completions") == []

Options are those of `python -m agenttype_simulator`, with underscores, or its flags as they are; the served name
is `base` unless given.
"""

import json
import subprocess
import sys
import urllib.request
from contextlib import AbstractContextManager
from typing import Any


class Simulator:
    """A running simulator: its `url`, and its control routes as methods."""

    def __init__(self, process: subprocess.Popen, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def fault(self, path: str, **action: Any) -> None:
        """Script one fault; the keys are those of `agenttype_simulator.faults`."""
        self._call("POST", "/simulator/faults", {"path": path, **action})

    def heal(self) -> None:
        """Drop the faults still to come."""
        self._call("DELETE", "/simulator/faults")

    def arrived(self, path: str | None = None) -> list[dict[str, Any]]:
        """What arrived, oldest first: method, path, headers, body, outcome, status and tokens of each."""
        requests = json.loads(self._call("GET", "/simulator/requests"))["requests"]
        return [request for request in requests if path in (None, request["path"])]

    def forget(self) -> None:
        """Empty the list of arrivals."""
        self._call("DELETE", "/simulator/requests")

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: full name with its labels, as printed, to value."""
        lines = self._call("GET", "/metrics").decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def total(self, name: str) -> float:
        """The sum of one family, for instance `vllm:generation_tokens_total`, over its labels."""
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)

    def _call(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()


class simulator(AbstractContextManager):  # noqa: N801 — used like a function
    """Starts in a quarter of a second; works with `with` and with `async with`."""

    def __init__(self, *flags: str, **options: Any) -> None:
        options = {"port": 0, "served_model_name": "base"} | options
        self._arguments = [*flags, *(part for name, value in options.items() for part in _flag(name, value))]
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> Simulator:
        command = [sys.executable, "-m", "agenttype_simulator", *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended at once with {self._process.wait()}: {command}")
        return Simulator(self._process, json.loads(line)["port"])

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    async def __aenter__(self) -> Simulator:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)


def _flag(name: str, value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return ["--" + name.replace("_", "-"), *map(str, values)]
