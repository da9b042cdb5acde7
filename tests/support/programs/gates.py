"""Start the gate as a process, and talk to it.

    with gate(policy, engine=vllm.url, source=shelf, adapters=volume, **api.options()) as door:
        door.until_ready()
        answer = door.post("/v1/chat/completions", {"model": "base", ...}, token)
        assert door.state("green@0123456789ab") == "Loaded"

`policy` is the path of gate.json; `write_policy` writes it as the kubelet does, and `a_gate_policy` and `wanted` build
its content. Options are those of `python -m agenttype_gate`, with underscores.
"""

import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agenttype_api import digests, gate_policy, policy

from support.waiting import until

IDENTITY = policy.Identity(namespace="default", name="shared", uid="1")


def digest_of(folder: Path) -> str:
    """The digest of an adapter's folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return digests.folder_digest((file.relative_to(folder).as_posix(), _sha256(file)) for file in files)


def wanted(folder: Path, **members: Any) -> gate_policy.WantedAdapter:
    """The adapter in a folder of the source volume, wanted under the folder's name."""
    digest = members.get("digest") or digest_of(folder)
    name = members.get("name") or folder.name
    return gate_policy.WantedAdapter(
        name=name, served_name=f"{name}@{digests.short(digest)}", path=members.get("path") or folder.name, digest=digest
    )


def caller(account: str, *models: str) -> gate_policy.Caller:
    """An agent that may call these models."""
    return gate_policy.Caller(service_account=account, agent_type=account, models=models)


def a_gate_policy(*adapters: gate_policy.WantedAdapter, **members: Any) -> gate_policy.GatePolicy:
    """A gate document of the backend `shared` whose base model is `base`."""
    return gate_policy.GatePolicy(
        identity=IDENTITY, **{"base_model": "base", "max_adapters": 4, "max_rank": 8, "adapters": adapters} | members
    )


def write_policy(file: Path, document: gate_policy.GatePolicy | str) -> Path:
    """Write gate.json as the kubelet does: a new folder, then one swap of a symbolic link."""
    text = document if isinstance(document, str) else policy.document_json(document)
    folder = file.parent
    folder.mkdir(parents=True, exist_ok=True)
    version = folder / f"..{time.monotonic_ns()}"
    version.mkdir()
    (version / file.name).write_text(text)
    (folder / "..tmp").symlink_to(version.name)
    (folder / "..tmp").replace(folder / "..data")
    if not file.is_symlink():
        file.symlink_to(Path("..data", file.name))
    return file


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Gate:
    """A running gate: its process, its ports, and what it says."""

    def __init__(self, process: subprocess.Popen, ports: dict[str, int]) -> None:
        self.process = process
        self.ports = ports
        self.url = f"http://127.0.0.1:{ports['gate']}"

    def call(self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str) -> Answer:
        """One request to the data path; a dict goes as JSON, bytes as they are."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields.setdefault("content-type", "application/json")
        if token is not None:
            fields["authorization"] = f"Bearer {token}"
        return _ask(self.ports["gate"], method, path, raw, fields)

    def post(self, path: str, body: Any, token: str | None = None, **headers: str) -> Answer:
        """POST to the data path."""
        return self.call("POST", path, body, token, **headers)

    def leave_after_first_bytes(self, path: str, body: Any, token: str) -> bytes:
        """POST, read what comes first, and hang up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["gate"], timeout=60)
        fields = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        connection.request("POST", path, json.dumps(body), fields)
        first = connection.getresponse().read1(64)
        connection.close()
        return first

    def health(self, path: str = "/readyz") -> Answer:
        """GET from the health port."""
        return _ask(self.ports["health"], "GET", path)

    def control(self, path: str) -> Answer:
        """GET from the control port."""
        return _ask(self.ports["control"], "GET", path)

    def report(self) -> gate_policy.GateReport:
        """What the operator reads."""
        return gate_policy.GateReport.model_validate_json(self.control("/agenttype/v1/adapters").body)

    def adapter(self, served_name: str) -> gate_policy.AdapterReport | None:
        """What the report says of one adapter."""
        return next((entry for entry in self.report().adapters if entry.served_name == served_name), None)

    def state(self, served_name: str) -> str | None:
        """The state of one adapter."""
        entry = self.adapter(served_name)
        return None if entry is None else entry.state.value

    def metric(self, name: str) -> float:
        """One sample of /metrics, by its full name with labels as printed; 0 where it is not there yet."""
        for line in self.control("/metrics").body.decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def until_ready(self) -> "Gate":
        """Wait until it takes calls."""
        until(lambda: self.health().status == 200, lambda: f"{self.health().body!r} {self.report()}")
        return self

    def until_state(self, served_name: str, state: str) -> "Gate":
        """Wait until an adapter is in a state."""
        until(lambda: self.state(served_name) == state, lambda: str(self.report()))
        return self

    def kill(self) -> None:
        """End it without a word, as a crash does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        """Ask it to leave, as the kubelet does."""
        self.process.send_signal(signal.SIGTERM)


class gate(AbstractContextManager):  # noqa: N801 — used like a function
    """Starts in half a second; ports are free ones, ending is immediate unless an option says otherwise."""

    def __init__(self, policy_file: Path, engine: str, source: Path, adapters: Path, **options: Any) -> None:
        paths = {"policy": policy_file, "engine": engine, "adapter_source": source, "adapters": adapters}
        ports = {"host": "127.0.0.1", "gate_port": 0, "health_port": 0, "control_port": 0}
        given = paths | ports | {"lame_duck_seconds": 0, "drain_seconds": 5, "check_seconds": 0.5} | options
        self._arguments = [
            part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))
        ]

    def __enter__(self) -> Gate:
        command = [sys.executable, "-m", "agenttype_gate", *self._arguments]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBERNETES_")}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the gate ended at once with {self._process.wait()}: {command}")
        return Gate(self._process, json.loads(line))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _ask(port: int, method: str, path: str, body: bytes | None = None, headers: Any = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
