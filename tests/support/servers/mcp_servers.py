"""Small MCP servers of either era that do what a test says and keep what they heard; each runs in threads.

    with mcp_server(HANDSHAKE, tools={"lookup": says("found")}) as server:
        ...
        assert server.calls == ["lookup"]

What a tool does is a function of the request's message: it returns the whole answer (or `Raw`), or yields messages that
are streamed, the last of them the answer.
"""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import GeneratorType
from typing import Any

HANDSHAKE = "2025-11-25"
MODERN = "2026-07-28"
_META_VERSION = "io.modelcontextprotocol/protocolVersion"

Message = dict[str, Any]
Tool = Callable[[Message], Any]


@dataclass(frozen=True)
class Heard:
    """One request as it came: header names in lower case; `message` is None without a body."""

    method: str
    headers: dict[str, str]
    message: Message | None


@dataclass(frozen=True)
class Raw:
    """An answer that is no message: status, header fields, body."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class McpServer:
    """What a test sees of a server, and may change while it runs.

    Attributes:
        era: The version that it speaks.
        tools: What it offers.
        definitions: Members of tools' definitions beside name and schema.
        heard: Every request, in order.
        sessions: Open sessions; emptied by a test, the server has forgotten them.
        page: Tools per page of a list; None: all.
        paused: While it is set, lists wait.
    """

    era: str
    tools: dict[str, Tool]
    definitions: dict[str, Message] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    page: int | None = None
    paused: threading.Event = field(default_factory=threading.Event)
    resumed: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def calls(self) -> list[str]:
        """Names of the tools called, in order."""
        return [each.message["params"]["name"] for each in self.messages("tools/call")]

    def messages(self, method: str) -> list[Heard]:
        """Requests and notifications of one method, in order."""
        return [each for each in self.heard if each.message is not None and each.message.get("method") == method]


def answer(message: Message, **result: Any) -> Message:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def text(message: Message, said: str, **result: Any) -> Message:
    return answer(message, content=[{"type": "text", "text": said}], **result)


def says(said: str) -> Tool:
    return lambda message: text(message, said)


@contextlib.contextmanager
def mcp_server(era: str, tools: dict[str, Tool], **members: Any) -> Iterator[McpServer]:
    """Run a server on a free port of 127.0.0.1 for the length of the block."""
    server = McpServer(era, tools, **members)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_of_mcp": server}))
    listener.daemon_threads = True
    server.port = listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.resumed.set()
        listener.shutdown()
        thread.join()
        listener.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of_mcp: McpServer

    def do_POST(self) -> None:
        server = self.server_of_mcp
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._note(message)
        refused = self._refused(message)
        if refused is not None:
            self._say(refused, {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": -32600, "message": "no"}})
        elif "method" not in message or "id" not in message:
            self._say(202)
        elif message["method"] == "initialize":
            session = f"session-{len(server.heard)}"
            server.sessions.add(session)
            offered = {"protocolVersion": HANDSHAKE, "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}}
            self._say(200, answer(message, **offered), session)
        elif message["method"] == "server/discover":
            self._say(200, answer(message, supportedVersions=[MODERN], capabilities={"tools": {}}))
        elif message["method"] == "tools/list":
            self._list(message)
        elif message["method"] == "tools/call":
            self._call(message)
        else:
            self._say(200, {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "unknown"}})

    def do_DELETE(self) -> None:
        self._note(None)
        self.server_of_mcp.sessions.discard(self.headers["mcp-session-id"])
        self._say(204)

    def log_message(self, *_: object) -> None:
        """Say nothing: what was heard is kept."""

    def _note(self, message: Message | None) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server_of_mcp.heard.append(Heard(self.command, headers, message))

    def _refused(self, message: Message) -> int | None:
        server = self.server_of_mcp
        if server.era == MODERN:
            meta = (message.get("params") or {}).get("_meta") or {}
            same = self.headers["mcp-protocol-version"] == MODERN == meta.get(_META_VERSION)
            return None if same and self.headers["mcp-method"] == message["method"] else 400
        if message.get("method") == "initialize":
            return None
        named = self.headers["mcp-session-id"]
        if named is None:
            return 400
        return None if named in server.sessions else 404

    def _list(self, message: Message) -> None:
        server = self.server_of_mcp
        if server.paused.is_set():
            server.resumed.wait(30)
        names = list(server.tools)
        begin = int((message.get("params") or {}).get("cursor", 0))
        end = len(names) if server.page is None else begin + server.page
        listed = [
            {"name": name, "inputSchema": {"type": "object"}, **server.definitions.get(name, {})}
            for name in names[begin:end]
        ]
        more = {"nextCursor": str(end)} if end < len(names) else {}
        self._say(200, answer(message, tools=listed, **more))

    def _call(self, message: Message) -> None:
        said = self.server_of_mcp.tools[message["params"]["name"]](message)
        if isinstance(said, Raw):
            self.send_response(said.status)
            for name, value in {**said.headers, "content-length": str(len(said.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)
            return
        if not isinstance(said, GeneratorType):
            self._say(200, said)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.close_connection = True  # unless all of it is said
        with contextlib.suppress(OSError):
            for each in said:
                event = f"event: message\ndata: {json.dumps(each)}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.write(b"0\r\n\r\n")
            self.close_connection = False

    def _say(self, status: int, message: Message | None = None, session: str | None = None) -> None:
        body = b"" if message is None else json.dumps(message).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        if session is not None:
            self.send_header("mcp-session-id", session)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
