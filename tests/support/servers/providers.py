"""Stand-ins for the providers outside, OpenAI's and Anthropic's: the answers that they document, over HTTP or TLS.

    with provider("OpenAI") as openai:
        ...call openai.url...
        assert openai.arrived[0].headers["authorization"] == "Bearer …"

They differ from an engine of ours where the real ones do: usage with cached tokens, `usage: null` in every chunk,
pings, events that our engines do not send, and nothing but their own protocol's paths.
"""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SAID = "one two three"
#: 40 tokens of prompt, 30 of them from a cache; 3 of answer.
CHAT_USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 3,
    "total_tokens": 43,
    "prompt_tokens_details": {"cached_tokens": 30},
}
RESPONSE_USAGE = {
    "input_tokens": 40,
    "output_tokens": 3,
    "total_tokens": 43,
    "input_tokens_details": {"cached_tokens": 30},
}
MESSAGE_USAGE = {
    "input_tokens": 10,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 0,
    "output_tokens": 3,
}
RESPONSE_ID, ITEM_ID = "resp_outside", "msg_outside"


@dataclass(frozen=True)
class Arrival:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Provider:
    """A running stand-in: its `url`, what arrived, and whether its streams break off without their protocol's end."""

    url: str
    protocol: str
    arrived: list[Arrival] = field(default_factory=list)
    breaks_off: bool = False


@contextmanager
def provider(protocol: str, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Provider]:
    """Serve a protocol on a free port of loopback; `host` is the name that its URL says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    port = server.server_address[1]
    running = Provider(f"{'https' if tls else 'http'}://{host}:{port}", protocol)
    server.provider = running
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # a caller that refuses our certificate hangs up in the middle of the handshake
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw) if raw else None
        provider = self.server.provider
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.partition("?")[0]
        provider.arrived.append(Arrival(self.command, path, headers, body))
        answer = _ANSWERS[provider.protocol].get((self.command, path))
        if answer is None:
            self._json(404, {"error": {"message": "no such path", "type": "invalid_request_error"}})
        elif body and body.get("stream"):
            self._events(_STREAMS[path](body), cut=provider.breaks_off)
        else:
            self._json(200, answer(body))

    def _json(self, status: int, content: Any) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _events(self, frames: list[bytes], *, cut: bool) -> None:
        """Send a stream; without TLS only the connection's end marks its end. A cut one lacks the last events."""
        chunked = isinstance(self.connection, ssl.SSLSocket)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header(*(("transfer-encoding", "chunked") if chunked else ("connection", "close")))
        self.end_headers()
        for frame in frames[:-3] if cut else frames:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(frame), frame) if chunked else frame)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


def _data(content: Any) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _named(content: dict[str, Any]) -> bytes:
    return b"event: " + content["type"].encode() + b"\n" + _data(content)


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": SAID, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    head = {"id": "chatcmpl-outside", "object": "chat.completion", "created": 1, "model": body["model"]}
    return head | {"choices": [choice], "usage": CHAT_USAGE}


def _chat_events(body: dict[str, Any]) -> list[bytes]:
    head = {"id": "chatcmpl-outside", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    pieces = [{"role": "assistant", "content": ""}, *({"content": part} for part in ("one ", "two ", "three"))]
    chunks = [{"choices": [{"index": 0, "delta": piece, "finish_reason": None}], "usage": None} for piece in pieces]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}
    final = {"choices": [], "usage": CHAT_USAGE}
    return [*(_data(head | chunk) for chunk in (*chunks, last, final)), b"data: [DONE]\n\n"]


def _text(body: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "text": SAID, "finish_reason": "stop", "logprobs": None}
    head = {"id": "cmpl-outside", "object": "text_completion", "created": 1, "model": body["model"]}
    return head | {"choices": [choice], "usage": CHAT_USAGE}


def _text_events(body: dict[str, Any]) -> list[bytes]:
    head = {"id": "cmpl-outside", "object": "text_completion", "created": 1, "model": body["model"]}
    choices = [{"index": 0, "text": part, "finish_reason": None} for part in ("one ", "two ", "three")]
    last = {"index": 0, "text": "", "finish_reason": "stop"}
    chunks = [{"choices": [choice], "usage": None} for choice in (*choices, last)]
    return [*(_data(head | chunk) for chunk in (*chunks, {"choices": [], "usage": CHAT_USAGE})), b"data: [DONE]\n\n"]


def _response(body: dict[str, Any] | None) -> dict[str, Any]:
    part = {"type": "output_text", "text": SAID, "annotations": [], "logprobs": []}
    item = {"id": ITEM_ID, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": (body or {}).get("model", "m"),
        "output": [item],
        "usage": RESPONSE_USAGE,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
    }


def _response_events(body: dict[str, Any]) -> list[bytes]:
    whole = _response(body)
    begun = whole | {"status": "in_progress", "output": [], "usage": None}
    item = whole["output"][0]
    place = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", **place, "part": item["content"][0] | {"text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": part, "logprobs": []}
            for part in ("one ", "two ", "three")
        ),
        {"type": "response.output_text.done", **place, "text": SAID, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [_named(event | {"sequence_number": number}) for number, event in enumerate(events)]


def _embedding(body: dict[str, Any]) -> dict[str, Any]:
    data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}]
    return {"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 40, "total_tokens": 40}}


def _message(body: dict[str, Any]) -> dict[str, Any]:
    head = {"id": "msg_outside", "type": "message", "role": "assistant", "model": body["model"]}
    ended = {"stop_reason": "end_turn", "stop_sequence": None, "usage": MESSAGE_USAGE}
    return head | {"content": [{"type": "text", "text": SAID}]} | ended


def _message_events(body: dict[str, Any]) -> list[bytes]:
    begun = _message(body) | {"content": [], "stop_reason": None, "usage": MESSAGE_USAGE | {"output_tokens": 1}}
    deltas = [{"type": "text_delta", "text": part} for part in ("one ", "two ", "three")]
    events = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": MESSAGE_USAGE},
        {"type": "message_stop"},
    ]
    return [_named(event) for event in events]


_Answer = Callable[[Any], dict[str, Any]]
_ANSWERS: dict[str, dict[tuple[str, str], _Answer]] = {
    "OpenAI": {
        ("POST", "/v1/chat/completions"): _chat,
        ("POST", "/v1/completions"): _text,
        ("POST", "/v1/responses"): _response,
        ("POST", "/v1/embeddings"): _embedding,
        ("GET", f"/v1/responses/{RESPONSE_ID}"): _response,
        ("GET", f"/v1/responses/{RESPONSE_ID}/input_items"): lambda _: {"object": "list", "data": []},
        ("POST", f"/v1/responses/{RESPONSE_ID}/cancel"): _response,
        ("DELETE", f"/v1/responses/{RESPONSE_ID}"): lambda _: {"id": RESPONSE_ID, "deleted": True},
    },
    "Anthropic": {
        ("POST", "/v1/messages"): _message,
        ("POST", "/v1/messages/count_tokens"): lambda _: {"input_tokens": 40},
    },
}
_STREAMS: dict[str, Callable[[dict[str, Any]], list[bytes]]] = {
    "/v1/chat/completions": _chat_events,
    "/v1/completions": _text_events,
    "/v1/responses": _response_events,
    "/v1/messages": _message_events,
}
