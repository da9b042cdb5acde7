"""The health port: our own health, whether the pod may be sent calls, and the engine's health for its own probes."""

from agenttype_proxy import asgi
from agenttype_proxy.asgi import Receive, Scope, Send

from agenttype_gate.document import DocumentFile
from agenttype_gate.engine import Engine
from agenttype_gate.errors import EngineAway
from agenttype_gate.status import Status

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class HealthPort:
    """The ASGI app.

    `/readyz` waits until, since the engine came up, every wanted adapter has been live once. It does not wait for
    broken ones: an adapter whose files are wrong, missing, too many or too large is no better off on another replica.
    Nor does it wait again for one that is added later: all replicas load it at once. In each case taking the backend
    away from every agent would turn one agent's adapter into everybody's outage; calls for it alone are answered with
    503, and the report and the status of its LoraAdapter say why.
    """

    def __init__(self, document: DocumentFile, status: Status, engine: Engine) -> None:
        self._document = document
        self._status = status
        self._engine = engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 — ASGI's signature
        """Answer one probe."""
        match scope["path"]:
            case "/healthz":
                code, text = 200, "ok"
            case "/readyz":
                missing = self._missing()
                code, text = (503, missing) if missing else (200, "ok")
            case "/engine-healthz":
                code, text = await self._engine_health()
            case _:
                code, text = 404, "there is /healthz, /readyz and /engine-healthz"
        await asgi.respond(send, code, [_TEXT], f"{text}\n".encode())

    def _missing(self) -> str:
        if self._status.leaving:
            return "the gate is leaving"
        snapshot = self._document.current
        if snapshot is None:
            return self._document.error
        if not self._status.engine_ready:
            return f"the engine does not serve {snapshot.document.base_model}"
        return "" if self._status.complete else "loading the adapters"

    async def _engine_health(self) -> tuple[int, str]:
        try:
            answer = await self._engine.get(b"/health")
        except EngineAway as error:
            return 503, str(error)
        return answer.status, "ok" if answer.status == 200 else "the engine says that it is not well"  # noqa: PLR2004
