"""The store of shared limits with its auth callout, as processes: a real NATS server, a stand-in for the API server."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.ports import free_port
from support.waiting import until


@dataclass
class TokenReviews:
    """An API server that does one thing; tokens it knows → `namespace:name` of their ServiceAccounts."""

    known: dict[str, str] = field(default_factory=dict)
    audiences: list[str] = field(default_factory=lambda: ["agenttype.dev/nats"])
    asked: int = 0
    url: str = ""

    def answer(self, review: dict[str, Any]) -> dict[str, Any]:
        """Say whose a token is."""
        self.asked += 1
        who = self.known.get(review["spec"]["token"])
        if who is None:
            return {**review, "status": {"authenticated": False, "error": "token is not known"}}
        user = {"username": f"system:serviceaccount:{who}"}
        return {**review, "status": {"authenticated": True, "user": user, "audiences": self.audiences}}


@contextlib.contextmanager
def token_reviews(**known: str) -> Iterator[TokenReviews]:
    """Serve TokenReviews on loopback."""
    found = TokenReviews(dict(known))

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            text = json.dumps(found.answer(body)).encode()
            self.send_response(201)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Store:
    """A running server with its auth callout."""

    url: str
    health: str
    command: list[str]
    log: Path
    server: subprocess.Popen[bytes] | None = None

    def start_server(self) -> None:
        """Start the server, as the kubelet does after it has ended."""
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)

    def kill_server(self) -> None:
        """Kill the server alone."""
        assert self.server
        self.server.kill()
        self.server.wait(timeout=60)

    def ready(self) -> bool:
        """Whether the auth callout says that connections are answered."""
        try:
            with urllib.request.urlopen(self.health, timeout=2):
                return True
        except OSError:
            return False

    def await_ready(self, *, ready: bool = True) -> None:
        """Wait until the doorkeeper is ready, or no longer."""
        until(lambda: self.ready() is ready, self.log.read_text)


@contextlib.contextmanager
def store(reviews: TokenReviews, folder: Path) -> Iterator[Store]:
    """Run a server with its auth callout, as the chart's pod does."""
    port, monitor, health = free_port(), free_port(), free_port()
    command = [sys.executable, "-m", "agenttype_operator.auth_callout"]
    config, kept = folder / "nats.conf", folder / "keys"
    kept.mkdir()
    ports = ["--port", str(port)]
    subprocess.run(
        [
            *(*command, "prepare", "--keys", str(kept), "--config", str(config), "--data", str(folder / "data")),
            *(*ports, "--monitor-port", str(monitor)),
        ],
        check=True,
    )
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig(reviews.url)))
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    found = Store(
        url=f"nats://127.0.0.1:{port}",
        health=f"http://127.0.0.1:{health}/readyz",
        command=[_nats_server(), "--config", str(config)],
        log=folder / "log",
    )
    answer = [*command, "answer", "--keys", str(kept), *ports, "--http-port", str(health)]
    with found.log.open("ab") as log:
        callout = subprocess.Popen(answer, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        found.start_server()
        found.await_ready()
        yield found
    finally:
        callout.terminate()
        callout.wait(timeout=60)
        found.kill_server()


def _nats_server() -> str:
    beside = Path(sysconfig.get_path("scripts"), "nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server is missing: uv sync --frozen"
    return found


def _kubeconfig(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": "none"}}],
    }
