"""The sidecar as a process of this machine: started, kept alive as a kubelet would, and ended."""

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final, NamedTuple

from agenttype_cli.errors import BadPolicy

_RESTART_PAUSE: Final = 0.2
_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 25.0


class Ports(NamedTuple):
    """Where the sidecar listens on 127.0.0.1."""

    data: int
    health: int
    control: int


class Files(NamedTuple):
    """What the sidecar reads and writes."""

    policy: Path
    ledger: Path
    credentials: Path
    token: Path
    log: Path


class Sidecar:
    """One sidecar; when it dies it comes back on the same ports with the same ledger.

    Attributes:
        ports: where it listens.
    """

    def __init__(self, files: Files, ports: Ports, *, verbose: bool) -> None:
        """Start it and wait until it serves.

        Args:
            files: what it reads and writes.
            ports: where to listen; 0 for a free port.
            verbose: whether its log goes to the standard error as well.

        Raises:
            BadPolicy: it refuses to start; the message is its own.
        """
        self._files = files
        self._verbose = verbose
        self._ending = threading.Event()
        self._log: IO[str] = files.log.open("a", encoding="utf-8")
        self._process, self.ports = self._started(ports)
        self._keeper = threading.Thread(target=self._keep, name="sidecar", daemon=True)
        self._keeper.start()

    def end(self) -> None:
        """Let it finish its calls and end."""
        self._ending.set()
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._keeper.join()
        self._log.close()

    def _started(self, ports: Ports) -> tuple[subprocess.Popen[str], Ports]:
        files = self._files
        command = [
            sys.executable, "-m", "agenttype_sidecar", "--host", "127.0.0.1",
            "--policy", str(files.policy), "--ledger", str(files.ledger),
            "--credentials", str(files.credentials), "--token", str(files.token),
            "--data-port", str(ports.data), "--health-port", str(ports.health), "--control-port", str(ports.control),
        ]  # fmt: skip
        log = None if self._verbose else self._log
        # A session of its own: what is typed at the terminal is meant for the agent.
        process = subprocess.Popen(  # noqa: S603 — our own interpreter and module
            command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
        )
        waiting = threading.Timer(_START_SECONDS, process.kill)
        waiting.start()
        try:
            line = process.stdout.readline() if process.stdout else ""
        finally:
            waiting.cancel()
        if not line:
            process.wait()
            raise BadPolicy(f"the sidecar does not start: {_explained(_last_words(files.log))}")
        told = json.loads(line)
        return process, Ports(told["data_port"], told["health_port"], told["control_port"])

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
            if self._ending.wait(_RESTART_PAUSE):
                return
            with contextlib.suppress(BadPolicy, OSError):
                self._process, _ = self._started(self.ports)


def _explained(words: str) -> str:
    if "bind on address" in words:
        return f"{words}; give --data-port and --control-port others, or leave them out"
    return words or "its log is above"


def _last_words(log: Path) -> str:
    """Return the message of the last line of a log of JSON lines, as well as it can be told."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    if not lines:
        return ""
    try:
        found = json.loads(lines[-1])
    except json.JSONDecodeError:
        return lines[-1]
    return str(found.get("error") or found.get("message") or lines[-1]) if isinstance(found, dict) else lines[-1]
