"""Run the example agents as their authors would: own environment, own process, variables only."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.made_once import CACHE, made_once
from support.ports import free_port
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
GREEN = EXAMPLES / "agents" / "green"
RED = EXAMPLES / "agents" / "red"
NORMS = EXAMPLES / "tools" / "norms"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: its status and its decoded JSON body."""

    status: int
    body: Any


@dataclass(frozen=True)
class Program:
    """A running example: `url` is its loopback address, `log` the file with all it printed."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def get(self, path: str) -> Answer:
        return _call(urllib.request.Request(self.url + path))

    def post(self, path: str, body: object, **headers: str) -> Answer:
        sent = {"content-type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return _call(urllib.request.Request(self.url + path, json.dumps(body).encode(), sent))

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def terminate(self) -> int:
        """Send SIGTERM, and return the exit code; an example that takes more than 10 s fails the test."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def python_of(folder: Path) -> Path:
    """Return the interpreter that has `folder`'s requirements; its environment is made once per content."""
    requirements = folder / "requirements.txt"
    venv = CACHE / "tests" / "venvs" / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    return made_once(venv, lambda made: _install(requirements, made)) / "bin" / "python3"


def _install(requirements: Path, made: Path) -> None:
    uv = shutil.which("uv")
    if uv is None:
        raise AssertionError("uv is missing: install it with `pip install uv`")
    _run(uv, "venv", "-q", "--no-project", "--relocatable", "--python", "3.11", str(made))
    _run(uv, "pip", "install", "-q", "--python", str(made / "bin/python3"), "-r", str(requirements))


@contextlib.contextmanager
def running(folder: Path, log_folder: Path, *, port: int | None = None, **env: str) -> Iterator[Program]:
    """Start the example in `folder`, wait until its /healthz answers, and end it when the block ends."""
    port = port or free_port()
    script = next(folder.glob("*.py"))
    log = log_folder / f"{folder.name}-{port}.log"
    clean = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), "PYTHONUNBUFFERED": "1"}
    command = [str(python_of(folder)), str(script)]
    with log.open("wb") as out, subprocess.Popen(command, env=clean | env, stdout=out, stderr=out) as process:
        program = Program(process, f"http://127.0.0.1:{port}", log)
        try:
            until(lambda: _is_up(program))
            yield program
        finally:
            process.kill()


def _is_up(program: Program) -> bool:
    if not program.is_alive():
        raise AssertionError(f"{program.process.args!r} ended:\n{program.log.read_text()}")
    try:
        return program.get("/healthz").status == 200
    except OSError:
        return False


def _call(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(response.status, _decoded(response.headers.get_content_type(), response.read()))
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, _decoded(refused.headers.get_content_type(), refused.read()))


def _decoded(kind: str, data: bytes) -> Any:
    """Return the JSON of an answer; of an event stream (MCP answers in one) that of its last event."""
    if kind == "text/event-stream":
        data = data.strip().rpartition(b"data: ")[2]
    return json.loads(data or b"null")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stderr}")
