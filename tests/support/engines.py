"""The real engine for tests: vLLM on CPU with a 135 M-parameter model, as a process on a free loopback port.

    with real_engine() as vllm:
        vllm.load("green", adapter_folder("green"))
        vllm.say("green", "Failed password for eve from 192.0.2.7 port 4022")

Ready in about a minute, 7 GB of memory. What it runs is made once by `python3 examples/engine/prepare.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from support.ports import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
READY_SECONDS = 600  # measured: 45 to 60 on two idle cores, 375 on two that thirty processes wanted
LOG_TAIL = 6000


class Engine:
    """A running vLLM: its `url`, and the few calls that tests make."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        """GET `path`, or POST `body` to it; an HTTP error is raised with what the engine said."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                error.add_note(error.read().decode(errors="replace"))
            raise

    def load(self, name: str, folder: Path) -> None:
        """Load the adapter in `folder` under `name`."""
        self.call("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})

    def unload(self, name: str) -> None:
        """Take the name away."""
        self.call("/v1/unload_lora_adapter", {"lora_name": name})

    def models(self) -> dict[str, str]:
        """Served name to root (the folder that it was loaded from), the base model first."""
        return {model["id"]: model["root"] for model in json.loads(self.call("/v1/models"))["data"]}

    def chat(self, model: str, messages: list[dict[str, str]], max_tokens: int = 32) -> dict[str, Any]:
        """One greedy chat completion, as the engine answers it."""
        body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0}
        return json.loads(self.call("/v1/chat/completions", body))

    def say(self, model: str, text: str, system: str | None = None) -> str:
        """The greedy answer to one user message."""
        first = [{"role": "system", "content": system}] if system else []
        answer = self.chat(model, [*first, {"role": "user", "content": text}])
        return answer["choices"][0]["message"]["content"]

    def lives(self) -> bool:
        """Whether `/health` says that all is well."""
        try:
            self.call("/health")
        except OSError:
            return False
        return True

    def total(self, name: str) -> float:
        """The sum of one family of /metrics, for instance `vllm:generation_tokens_total`, over its labels."""
        lines = self.call("/metrics").decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0] == name)


def adapter_folder(name: str) -> Path:
    """The committed adapter `green` or `red`."""
    return EXAMPLES / "adapters" / name


def adapter_version(name: str) -> str:
    """The name under which a version is served: `green@` and the first 12 digits of its digest."""
    digest = json.loads((EXAMPLES / "adapters" / "digests.json").read_text())[name]
    return f"{name}@{digest.removeprefix('sha256:')[:12]}"


def held_out(name: str, split: str) -> list[dict[str, str | None]]:
    """The examples of an adapter that it was not trained on: `split`, `system`, `user` and the right `answer`."""
    lines = (EXAMPLES / "adapters" / f"{name}.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["split"] == split]


@contextlib.contextmanager
def real_engine(*more: str, **environment: str) -> Iterator[Engine]:
    """Start vLLM with the example's flags and `more`; give it when it answers; end it by its own id."""
    parts = prepared()
    port = free_port()
    command = [parts["python"], "-m", parts["module"], *parts["args"], *more]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        # A session of its own: its workers can be ended with it, and nothing else.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, **parts["env"], **environment},
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process, log)
            yield Engine(url)
        finally:
            end(process)


class OneEngine(contextlib.AbstractContextManager):
    """Keeps the engine that was asked for last, because each starts for half a minute and two do not fit into memory.

    with OneEngine() as one:
        one.engine()                  # starts
        one.engine()                  # the same, if it still lives
        one.engine("--max-loras=1")   # another in its place
        one.end()                     # room for somebody else's
    """

    def __init__(self) -> None:
        self._asked: tuple[Any, ...] | None = None
        self._engine: Engine | None = None
        self._running = contextlib.ExitStack()

    def engine(self, *more: str, **environment: str) -> Engine:
        """Give the engine with these flags and variables: the one that runs, or a new one."""
        asked = (more, environment)
        if self._engine is None or self._asked != asked or not self._engine.lives():
            self.end()
            self._engine = self._running.enter_context(real_engine(*more, **environment))
            self._asked = asked
        return self._engine

    def end(self) -> None:
        """End the one that runs, if there is one."""
        self._running.close()
        self._engine = None

    def __exit__(self, *_: object) -> None:
        self.end()


def prepared() -> dict[str, Any]:
    """Where the engine is and how it is started; raises with the command to run when it is not there."""
    command = [sys.executable, str(EXAMPLES / "engine" / "prepare.py"), "--check", "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError(found.stderr.strip())
    return json.loads(found.stdout)


def wait_until_ready(url: str, process: subprocess.Popen, log: IO[bytes]) -> None:
    """Return when `/health` answers; fail with the end of the log when the process ends or time is up."""

    def answers() -> bool:
        assert process.poll() is None, f"the engine ended with {process.poll()}:\n{_tail(log)}"
        urllib.request.urlopen(f"{url}/health", timeout=5).close()
        return True

    until(answers, lambda: f"the engine is ready:\n{_tail(log)}", within=READY_SECONDS, ignoring=(OSError,))


def _tail(log: IO[bytes]) -> str:
    log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL))
    return log.read().decode(errors="replace")


def end(process: subprocess.Popen) -> None:
    """Ask the engine to end, and end its session when it does not."""
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
