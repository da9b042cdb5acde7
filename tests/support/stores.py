"""The store of shared limits with its doorkeeper, as processes: a real NATS server, a stand-in for the API server."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from example_agents import free_port


@dataclass
class TokenReviews:
    """An API server that does one thing; tokens it knows → `namespace:name` of their ServiceAccounts."""

    known: dict[str, str] = field(default_factory=dict)
    audiences: list[str] = field(default_factory=lambda: ["agenttype.dev/store"])
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


@contextlib.contextmanager
def store(reviews: TokenReviews, folder: Path) -> Iterator[str]:
    """Run a server with its doorkeeper, as the chart's pod does; yield its URL."""
    port, monitor, health = free_port(), free_port(), free_port()
    command = [sys.executable, "-m", "agenttype_operator.store"]
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
    with (folder / "log").open("ab") as log, contextlib.ExitStack() as stack:
        for program in (
            [_nats_server(), "--config", str(config)],
            [*command, "answer", "--keys", str(kept), *ports, "--http-port", str(health)],
        ):
            process = subprocess.Popen(program, stdout=log, stderr=subprocess.STDOUT, env=environment)
            stack.callback(process.wait, timeout=20)
            stack.callback(process.terminate)
        _await_ready(f"http://127.0.0.1:{health}/readyz", folder / "log")
        yield f"nats://127.0.0.1:{port}"


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


def _await_ready(url: str, log: Path) -> None:
    due = time.monotonic() + 30
    while time.monotonic() < due:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
