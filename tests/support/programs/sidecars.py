"""Start the sidecar as a process, under a policy that a test builds; end it by its own id.

with sidecar(policy=a_policy(vllm.url, budget=1000)) as car:
    answer = car.chat("hello")
    assert car.spent() == answer.tokens
"""

import contextlib
import http.client
import json
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agenttype_api import policy as api
from agenttype_api.v1alpha1 import OnLimit, Resource, Scope, Window

TOKEN = "the-pods-token"


def a_limit(maximum: int, resource: str = "Tokens", name: str = "run", window: str = "Run") -> api.Limit:
    return api.Limit(name=name, resource=Resource(resource), max=maximum, window=Window(window), scope=Scope.POD)


def a_price(*models: str, **rates: int) -> api.Price:
    """Nano-dollars per million tokens; what is left out costs nothing."""
    free = {"input": 0, "cached_input": 0, "cache_write": 0, "output": 0}
    return api.Price(models=models or ("*",), **(free | rates))


def a_backend(url: str, name: str = "shared", **members: Any) -> api.Backend:
    """An engine of ours: both protocols, the pod's token, a context of 2048 tokens."""
    ours = {
        "protocols": (api.WireProtocol.OPENAI, api.WireProtocol.ANTHROPIC),
        "credential": api.Credential.POD_TOKEN,
        "counts_bytes": True,
        "max_model_len": 2048,
    }
    return api.Backend(name=name, url=url, **(ours | members))


def a_route(*match: str, backend: str = "shared", model: str | None = "base", adapter: str | None = None) -> api.Route:
    return api.Route(match=match or ("*",), backend=backend, model=model, adapter=adapter)


def a_policy(url: str, budget: int | None = None, **members: Any) -> api.Policy:
    """A policy that routes every name to the engine at `url`; `budget` limits its tokens.

    Other keyword arguments: `limits`, `on_limit`, `timeouts` (a dict), and members of the document.
    """
    limits = members.pop("limits", () if budget is None else (a_limit(budget),))
    on_limit = OnLimit(members.pop("on_limit", "Clamp"))
    timeouts = api.Timeouts(**members.pop("timeouts", {}))
    document = {
        "identity": api.Identity(namespace="team-a", name="green", uid="1234"),
        "backends": (a_backend(url),),
        "routes": (a_route(),),
        "budget": api.Budget(limits=limits, on_limit=on_limit),
        "timeouts": timeouts,
    }
    return api.Policy(**(document | members))


def a_chat(text: str = "hello", **body: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **body}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: status, header fields by lower-case name, and the body's bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def tokens(self) -> int:
        """What the answer says it took."""
        return self.json["usage"]["total_tokens"]

    @property
    def events(self) -> list[str]:
        """The data of the server-sent events, in order."""
        return [block.partition("data: ")[2] for block in self.body.decode().split("\n\n") if "data: " in block]


class Sidecar:
    """A running sidecar and the files that it reads."""

    def __init__(self, process: subprocess.Popen, ports: dict[str, int], folder: Path, log: list[str]) -> None:
        self.process = process
        self.folder = folder
        self.data_port, self.health_port, self.control_port = (
            ports[f"{name}_port"] for name in ("data", "health", "control")
        )
        self.url = f"http://127.0.0.1:{self.data_port}"
        self._log = log

    @property
    def log(self) -> str:
        return "".join(self._log)

    def chat(self, text: str = "hello", **body: Any) -> Answer:
        return self.post("/v1/chat/completions", a_chat(text, **body))

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return call(self.url, "POST", path, raw, {"content-type": "application/json"} | (headers or {}))

    def at_once(self, *bodies: dict[str, Any]) -> list[int]:
        """Make chat calls whose last bytes arrive within a moment, and return their statuses in order."""
        with contextlib.ExitStack() as stack:
            callers = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self.data_port), timeout=60)) for _ in bodies
            ]
            raws = [json.dumps(body).encode() for body in bodies]
            for caller, raw in zip(callers, raws, strict=True):
                head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(raw)
                caller.sendall(head + raw[:-1])
            # Paused, the sidecar finds them all in one turn of its loop.
            self.process.send_signal(signal.SIGSTOP)
            for caller in callers:
                caller.sendall(b"}")
            self.process.send_signal(signal.SIGCONT)
            return [_status(caller) for caller in callers]

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return call(self.url, method, path, None, headers)

    def health(self, path: str) -> Answer:
        return call(f"http://127.0.0.1:{self.health_port}", "GET", path)

    def control(self, path: str) -> Answer:
        return call(f"http://127.0.0.1:{self.control_port}", "GET", path)

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: full name with its labels, as printed, to value."""
        lines = self.control("/metrics").body.decode().splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def total(self, family: str, *labels: str) -> float:
        """The sum of one family over its samples that have all `labels`, such as `direction="input"`."""
        samples = self.metrics().items()
        return sum(
            value for key, value in samples if key.split("{")[0] == family and all(part in key for part in labels)
        )

    def spent(self, limit: str = "run") -> int:
        return int(self.total("agenttype_budget_spent", f'limit="{limit}"'))

    def held(self, limit: str = "run") -> int:
        return int(self.total("agenttype_budget_held", f'limit="{limit}"'))

    def set_policy(self, document: api.Policy | str) -> None:
        """Replace the policy document, as the kubelet does: by a rename."""
        write_policy(self.folder, document)

    def fill_disk(self) -> None:
        """Let no file of the sidecar grow any more: what it meets is what a full disk gives."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

    def free_disk(self) -> None:
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def until_refused(self) -> Answer:
        """Call until a call is not answered with 200, and return that answer."""
        while (answer := self.chat(max_tokens=2)).status == 200:
            pass
        return answer

    def kill_after(self, seconds: float) -> None:
        """Send SIGKILL after so many seconds."""
        time.sleep(seconds)
        self.process.kill()
        self.process.wait()

    def end(self, within: float = 60) -> int:
        """Send SIGTERM and return the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=within)


class sidecar(AbstractContextManager):  # noqa: N801 — used like a function
    """Starts a sidecar; `folder` keeps its ledger for a second start, `under` is a command line that runs it.

    Works with `with` and with `async with`.
    """

    def __init__(self, policy: api.Policy, folder: Path | None = None, **options: Any) -> None:
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary else folder
        self._policy = policy
        self._policy_text = options.pop("policy_text", None)
        self._under = options.pop("under", ())
        self._options = options
        self._process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Sidecar:
        write_policy(self.folder, self._policy_text or self._policy)
        (self.folder / "token").write_text(TOKEN)
        (self.folder / "credentials").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [*self._under, *command(self.folder, **self._options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        log: list[str] = []
        self._reader = threading.Thread(target=log.extend, args=(self._process.stderr,))
        self._reader.start()
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise AssertionError(f"the sidecar ended at once with {self._process.returncode}:\n{''.join(log)}")
        return Sidecar(self._process, json.loads(line), self.folder, log)

    def __exit__(self, *_: object) -> None:
        # In order, or the lines that it ran are not known; what is stopped or waits for its callers is killed.
        self._process.terminate()
        try:
            self._process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._process.stderr.close()
        if self._temporary:
            self._temporary.cleanup()

    async def __aenter__(self) -> Sidecar:
        return self.__enter__()

    async def __aexit__(self, *error: object) -> None:
        self.__exit__(*error)


def command(folder: Path, **options: Any) -> list[str]:
    """The command line of a sidecar with all its files in `folder`, on free loopback ports."""
    chosen = {
        "policy": folder / "policy.json",
        "ledger": folder / "ledger",
        "token": folder / "token",
        "credentials": folder / "credentials",
        "host": "127.0.0.1",
        "data_port": 0,
        "health_port": 0,
        "control_port": 0,
    } | options
    flags = [part for name, value in chosen.items() for part in ("--" + name.replace("_", "-"), str(value))]
    return [sys.executable, "-m", "agenttype_sidecar", *flags]


def _status(caller: socket.socket) -> int:
    response = http.client.HTTPResponse(caller)
    try:
        response.begin()
        response.read()
        return response.status
    finally:
        response.close()


def together(amount: int, work: Callable[[int], Any]) -> list[Any]:
    """Do `amount` pieces of work at once, and return what each returned, in order."""
    with ThreadPoolExecutor(amount) as pool:
        return list(pool.map(work, range(amount)))


def write_policy(folder: Path, document: api.Policy | str) -> None:
    text = document if isinstance(document, str) else api.document_json(document)
    aside = folder / "policy.json.new"
    aside.write_text(text)
    aside.replace(folder / "policy.json")


def call(url: str, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """Make one HTTP call; a connection that breaks raises what http.client raises."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()
