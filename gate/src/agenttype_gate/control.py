"""The control port: the report that the operator folds into statuses, our metrics, and the engine's own."""

from agenttype_api import keys
from agenttype_api.gate_policy import GateReport
from agenttype_proxy import asgi, headers
from agenttype_proxy.asgi import Receive, Scope, Send

from agenttype_gate.document import DocumentFile
from agenttype_gate.engine import Engine
from agenttype_gate.error_responses import JSON
from agenttype_gate.errors import EngineAway
from agenttype_gate.metrics import Metrics
from agenttype_gate.status import Status

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_METRICS = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")


class ControlPort:
    """The ASGI app."""

    def __init__(self, document: DocumentFile, status: Status, engine: Engine, metrics: Metrics) -> None:
        self._document = document
        self._status = status
        self._engine = engine
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 — ASGI's signature
        """Answer one look."""
        match scope["path"]:
            case keys.GATE_STATUS_PATH:
                report = self._report().model_dump_json(by_alias=True)
                await asgi.respond(send, 200, [JSON], report.encode())
            case "/metrics":
                text = self._metrics.text(
                    self._status.reports.values(),
                    engine_ready=self._status.engine_ready,
                    policy_refused=bool(self._document.error),
                )
                await asgi.respond(send, 200, [_METRICS], text)
            case "/engine/metrics":
                await self._engine_metrics(send)
            case _:
                await asgi.respond(send, 404, [_TEXT], b"there is nothing here\n")

    def _report(self) -> GateReport:
        snapshot = self._document.current
        return GateReport(
            policy_hash=snapshot.hash if snapshot else "",
            error=self._document.error,
            engine_ready=self._status.engine_ready,
            adapters=tuple(self._status.reports.values()),
        )

    async def _engine_metrics(self, send: Send) -> None:
        try:
            answer = await self._engine.get(b"/metrics")
        except EngineAway as error:
            await asgi.respond(send, 503, [_TEXT], f"{error}\n".encode())
            return
        kind = headers.get(answer.headers, b"content-type") or _METRICS[1]
        await asgi.respond(send, answer.status, [(b"content-type", kind)], answer.body)
