"""A model endpoint that says what a test scripts, and remembers every request that it got."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

QUOTA_SPENT = {
    "error": {
        "message": "You have spent your budget.",
        "type": "insufficient_quota",
        "code": "insufficient_quota",
    }
}


@dataclass
class ScriptedModel:
    """`says` maps the first word of a prompt to the answer, "" to the answer for all others."""

    says: dict[str, str]
    spent: bool = False
    cut_streams: bool = False
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def asked(self) -> list[tuple[str, str, bool]]:
        """Return (model, prompt, streamed) of every request, in order."""
        return [(r["model"], r["messages"][-1]["content"], r.get("stream", False)) for r in self.requests]

    def answer_to(self, request: dict[str, Any]) -> str:
        return self.says.get(request["messages"][-1]["content"].split(" ")[0], self.says[""])


@contextlib.contextmanager
def serving(model: ScriptedModel) -> Iterator[ScriptedModel]:
    """Serve `model` on a free loopback port while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(model))
    model.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(model: ScriptedModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.requests.append(request)
            if model.spent:
                self.reply(429, "application/json", json.dumps(QUOTA_SPENT), {"x-should-retry": "false"})
            elif request.get("stream"):
                self.stream(model.answer_to(request))
            else:
                choice = {"index": 0, "finish_reason": "stop"}
                choice |= {"message": {"role": "assistant", "content": model.answer_to(request)}}
                self.reply(200, "application/json", json.dumps(_completion("chat.completion", choice)), {})

        def stream(self, text: str) -> None:
            words = [_event({"index": 0, "delta": {"content": f"{word} "}}) for word in text.split()]
            end = _event({"index": 0, "delta": {}, "finish_reason": "stop"}) + "data: [DONE]\n\n"
            if model.cut_streams:
                # Promises more bytes than it sends: the reader must see a cut, not an end.
                self.reply(200, "text/event-stream", words[0], {"Content-Length": "100000"})
            else:
                self.reply(200, "text/event-stream", "".join(words) + end, {})

        def reply(self, status: int, kind: str, body: str, headers: dict[str, str]) -> None:
            data = body.encode()
            self.send_response(status)
            for name, value in ({"Content-Type": kind, "Content-Length": str(len(data))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Requests are remembered, not printed."""

    return Handler


def _completion(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    return {"id": "1", "object": kind, "created": 1, "model": "scripted", "choices": [choice]}


def _event(choice: dict[str, Any]) -> str:
    return f"data: {json.dumps(_completion('chat.completion.chunk', choice))}\n\n"
