"""An API server that knows one path: TokenReview, over TLS with an authority of its own.

    with token_reviews(tmp_path) as api:
        token = api.token("team-a/green")            # vouched for, for the gate's audience
        ...start a gate with api.options()...
        assert api.asked == [token]
        api.down()                                    # from now on it answers 503

Needs the `openssl` program: `apt-get install openssl`.
"""

import json
import shutil
import ssl
import subprocess
import threading
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

AUDIENCE = "agenttype.dev/gate"
OWN_TOKEN = "gate.own.token"


class ApiServer:
    """What it was asked, and what it will say."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.status = 201
        self.hold = threading.Event()
        self.hold.set()
        self._accounts: dict[str, tuple[str, list[str]]] = {}
        self.authority = folder / "ca.crt"
        self.own_token = folder / "token"
        self.own_token.write_text(OWN_TOKEN)
        self._key = folder / "tls.key"
        _certify(self.authority, self._key)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.api = self
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.authority, self._key)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def token(self, account: str, audiences: tuple[str, ...] = (AUDIENCE,), username: str | None = None) -> str:
        """A token that stands for the ServiceAccount `namespace/name`."""
        token = f"header.{account.replace('/', '_')}-{len(self._accounts)}.signature"
        self._accounts[token] = (username or f"system:serviceaccount:{account.replace('/', ':')}", list(audiences))
        return token

    def revoke(self, token: str) -> None:
        """Stop vouching for a token."""
        del self._accounts[token]

    def down(self) -> None:
        """Answer 503 from now on."""
        self.status = 503

    def up(self) -> None:
        """Answer again."""
        self.status = 201

    def options(self) -> dict[str, object]:
        """The gate's options that lead here."""
        return {"api_server": self.url, "api_token": self.own_token, "api_ca": self.authority}

    def review(self, question: dict, authorization: str | None) -> tuple[int, dict]:
        """Answer as kube-apiserver does."""
        if authorization != f"Bearer {self.own_token.read_text()}":
            return 401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}
        token = question["spec"]["token"]
        self.asked.append(token)
        self.hold.wait(60)
        if self.status != 201:
            return self.status, {"kind": "Status", "code": self.status}
        username, audiences = self._accounts.get(token, ("", []))
        shared = [audience for audience in question["spec"]["audiences"] if audience in audiences]
        if not shared:
            return 201, {"status": {"user": {}, "error": "invalid bearer token"}}
        return 201, {"status": {"authenticated": True, "user": {"username": username}, "audiences": shared}}

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End and free the port."""
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: ApiServer

    def handle_error(self, request, client_address) -> None:
        """Say nothing: a gate that ends closes its connections in the middle of anything."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/apis/authentication.k8s.io/v1/tokenreviews":
            status, answer = self.server.api.review(json.loads(raw), self.headers.get("authorization"))
        else:
            status, answer = 404, {"kind": "Status", "code": 404}
        body = json.dumps({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"} | answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


class token_reviews(AbstractContextManager):  # noqa: N801 — used like a function
    """Serves while the block runs; its files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> ApiServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._api = ApiServer(self._folder)
        self._api.start()
        return self._api

    def __exit__(self, *_: object) -> None:
        self._api.stop()


def _certify(certificate: Path, key: Path) -> None:
    if shutil.which("openssl") is None:
        raise RuntimeError("the gate's tests need openssl: apt-get install openssl")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
