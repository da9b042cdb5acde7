"""An upstream that keeps every byte it hears, and answers each sound request: as a script says, or as an engine would.

It reads more strictly than any server would: what is not exactly one well-formed request is `noise`. It runs in
threads, so that it goes on while a test waits.
"""

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from support.servers.scripted_upstream import Close, Reset, Say, Step, Wait

_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([ \t!-~\x80-\xff]*)\r\n")
_LINGER_NOT = struct.pack("ii", 1, 0)
_USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@dataclass(frozen=True)
class Arrival:
    """A request as it came: field names in lower case, fields in their order."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


@dataclass
class RecordingUpstream:
    """What a test sees of the upstream.

    Attributes:
        arrivals: Every sound request, in order.
        noise: Bytes that were none.
        departures: The monotonic time of every moment in which the other side closed a connection.
        scripts: What the next requests are answered with, one each; without one, as an engine would.
        played: The scripts that have been played to their end.
    """

    port: int
    arrivals: list[Arrival] = field(default_factory=list)
    noise: list[bytes] = field(default_factory=list)
    departures: list[float] = field(default_factory=list)
    scripts: "deque[Sequence[Step]]" = field(default_factory=deque)
    played: list[Sequence[Step]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *scripts: Sequence[Step]) -> None:
        """Answer the next requests with these scripts, one each."""
        self.scripts.extend(scripts)

    def forget(self) -> None:
        self.arrivals.clear()
        self.departures.clear()
        self.played.clear()
        self.scripts.clear()


@contextlib.contextmanager
def recording() -> Iterator[RecordingUpstream]:
    """Record on a free port of 127.0.0.1 for the length of the block."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    upstream = RecordingUpstream(listener.getsockname()[1])
    sockets: set[socket.socket] = set()
    accepting = threading.Thread(target=_accept, args=(listener, upstream, sockets))
    accepting.start()
    try:
        yield upstream
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for connection in tuple(sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, upstream: RecordingUpstream, sockets: set[socket.socket]) -> None:
    threads = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        sockets.add(connection)
        thread = threading.Thread(target=_serve, args=(connection, upstream, sockets))
        thread.start()
        threads = [thread, *(each for each in threads if each.is_alive())]
    for connection in tuple(sockets):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()


def _serve(connection: socket.socket, upstream: RecordingUpstream, sockets: set[socket.socket]) -> None:
    with connection, connection.makefile("rb") as stream, contextlib.suppress(OSError):
        while (arrival := _read(stream, upstream)) is not None:
            upstream.arrivals.append(arrival)
            script = upstream.scripts.popleft() if upstream.scripts else [Say(_as_an_engine(arrival))]
            ours = _played(script, connection)
            upstream.played.append(script)
            if not ours:
                break
    upstream.departures.append(time.monotonic())
    sockets.discard(connection)


def _read(stream: BinaryIO, upstream: RecordingUpstream) -> Arrival | None:
    line = stream.readline(70_000)
    if not line:
        return None
    found = _REQUEST_LINE.fullmatch(line)
    fields: list[tuple[bytes, bytes]] = []
    while found and (line := stream.readline(70_000)) != b"\r\n":
        pair = _FIELD.fullmatch(line)
        if pair is None:
            found = None
        else:
            fields.append((pair[1].lower(), pair[2]))
    lengths = [value for key, value in fields if key == b"content-length"]
    codings = [value for key, value in fields if key == b"transfer-encoding"]
    if found is None or codings or len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        upstream.noise.append(line)
        return None
    body = stream.read(int(lengths[0])) if lengths else b""
    return Arrival(found[1], found[2], fields, body)


def _played(script: Sequence[Step], connection: socket.socket) -> bool:
    """Play a script; return whether the connection is still ours to read from."""
    for step in script:
        match step:
            case Say(data):
                connection.sendall(data)
            case Wait(seconds):
                time.sleep(seconds)
            case Close():
                connection.shutdown(socket.SHUT_RDWR)
                return False
            case Reset():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                return False
    return True


def whole(body: bytes, *fields: bytes, status: bytes = b"200 OK", kind: bytes = b"application/json") -> bytes:
    """An answer of a known length."""
    lines = [b"HTTP/1.1 " + status, b"content-type: " + kind, *fields, b"content-length: %d" % len(body), b"", body]
    return b"\r\n".join(lines)


def chunked(*parts: bytes, kind: bytes = b"text/event-stream", end: bytes = b"0\r\n\r\n") -> bytes:
    """A streamed answer, one chunk for each part."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + end


def _as_an_engine(arrival: Arrival) -> bytes:
    path = arrival.target.partition(b"?")[0]
    if path == b"/v1/models":
        return whole(b'{"object":"list","data":[{"id":"gpt-4o"}]}')
    try:
        asked = json.loads(arrival.body) if arrival.body else {}
    except ValueError:
        return whole(b'{"error":{"message":"not JSON"}}', status=b"400 Bad Request")
    if path.endswith(b"/messages"):
        answer: dict[str, Any] = {
            "id": "msg", "type": "message", "role": "assistant", "model": "base", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "ok"}], "usage": {"input_tokens": 3, "output_tokens": 2},
        }  # fmt: skip
    elif b"mcp" in path:
        answer = {"jsonrpc": "2.0", "id": asked.get("id"), "result": {"content": []}}
    elif asked.get("stream"):
        chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "ok"}}]}
        events = [{**chunk, "usage": _USAGE}, {"id": "c", "choices": [], "usage": _USAGE}]
        return chunked(*(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events), b"data: [DONE]\n\n")
    else:
        answer = {"id": "c", "choices": [{"index": 0, "message": {"content": "ok"}}], "usage": _USAGE}
    return whole(json.dumps(answer).encode())
