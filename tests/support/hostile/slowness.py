"""Callers that take their time: each is answered or left at its deadline, whatever it goes on sending."""

import asyncio
import socket
import time
from typing import NamedTuple

from support import process_watch
from support.callers.raw_caller import CallerStep, HalfClose, Heard
from support.hostile.cases import BODY, CHAT, CHUNKED, get, post, request
from support.programs.sidecars import Sidecar
from support.servers.recording_upstream import RecordingUpstream, chunked
from support.servers.scripted_upstream import Say, Wait

#: Deadlines of the sidecar, in seconds.
HEAD, BODY_SECONDS, IDLE, STALL = 5, 30, 60, 60


class SlowCase(NamedTuple):
    """What a caller says in its own time; what it hears, and after how many seconds it is all over."""

    name: str
    said: tuple[CallerStep, ...]
    statuses: tuple[int, ...]
    seconds: float


def _dripping(data: bytes, seconds: float = 0.4) -> tuple[CallerStep, ...]:
    steps: list[CallerStep] = []
    for byte in data:
        steps += (Say(b"%c" % byte), Wait(seconds))
    return tuple(steps)


def _head(size: int = 100, *fields: bytes, path: bytes = CHAT) -> bytes:
    return request(b"content-length: %d" % size, *fields, line=b"POST " + path + b" HTTP/1.1")


_CALL = post()
_OPEN = get(b"/bye").replace(b"connection: close\r\n", b"")
_CHUNKED = request(CHUNKED)
SLOW = [
    SlowCase("a caller that never speaks", (), (), HEAD),
    SlowCase("a head that drips", _dripping(_CALL), (408,), HEAD),
    SlowCase("a head that stops in its line", (Say(b"POST /v1"),), (408,), HEAD),
    SlowCase("a head that stops behind its line", (Say(_CALL[:40]),), (408,), HEAD),
    SlowCase("a head that stops before its end", (Say(_head()[:-2]),), (408,), HEAD),
    SlowCase("a head whose fields never end", (Say(_head()[:-2]), *_dripping(b"a: b\r\n" * 50, 0.1)), (408,), HEAD),
    SlowCase("line ends that never end", _dripping(b"\r\n" * 50, 0.1), (), HEAD),
    SlowCase("a second head that drips", (Say(_OPEN), Wait(1), *_dripping(_CALL)), (404, 408), HEAD + 1),
    SlowCase("a body that never comes", (Say(_head()),), (408,), BODY_SECONDS),
    SlowCase("a body that stops", (Say(_head() + b"{"),), (408,), BODY_SECONDS),
    SlowCase("a body that drips", (Say(_head()), *_dripping(BODY)), (408,), BODY_SECONDS),
    SlowCase("a body that was promised", (Say(_head(100, b"expect: 100-continue")),), (408,), BODY_SECONDS),
    SlowCase("chunks that drip", (Say(_CHUNKED), *_dripping(b"1\r\nx\r\n" * 30)), (408,), BODY_SECONDS),
    SlowCase("a chunk that stops", (Say(_CHUNKED + b"ff\r\nx"),), (408,), BODY_SECONDS),
    SlowCase("an extension that drips", (Say(_CHUNKED + b"5;"), *_dripping(b"a" * 100)), (408,), BODY_SECONDS),
    SlowCase("trailers that drip", (Say(_CHUNKED + b"0\r\n"), *_dripping(b"a: b\r\n" * 20)), (408,), BODY_SECONDS),
    SlowCase("a message that stops", (Say(_head(path=b"/mcp/crm") + b"{"),), (408,), BODY_SECONDS),
    SlowCase("a connection that rests", (Say(_OPEN),), (404,), IDLE),
    SlowCase("a body for a path that takes none", (Say(_head(path=b"/x")), *_dripping(BODY)), (404,), 0),
    SlowCase("a refused caller that goes on", (Say(b"garbage\r\n\r\n"), *_dripping(BODY)), (400,), 0),
    SlowCase("half a head and a half-close", (Say(b"POST /v1"), HalfClose()), (), 0),
    SlowCase("half a body and a half-close", (Say(_head() + b"{"), HalfClose()), (), 0),
    SlowCase("half a chunk and a half-close", (Say(_CHUNKED + b"ff\r\nx"), HalfClose()), (), 0),
    SlowCase("a half-close without a word", (HalfClose(),), (), 0),
]


async def not_reading(car: Sidecar, upstream: RecordingUpstream) -> Heard:
    """Ask for a stream of 64 MB and read nothing of it; what is heard is how much the sidecar grew."""
    loop = asyncio.get_running_loop()
    memory = process_watch.resident(car.process.pid)
    upstream.answers([Say(chunked(*[b"data: " + b"x" * 2**20 + b"\n\n"] * 64))])
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", car.data_port)) as caller:
        caller.setblocking(False)
        await loop.sock_sendall(caller, post(body=BODY[:-1] + b',"stream":true}'))
        before = len(upstream.departures)
        grown = 0
        async with asyncio.timeout(STALL + 20):
            while len(upstream.departures) == before:
                grown = max(grown, process_watch.resident(car.process.pid) - memory)
                await asyncio.sleep(0.25)
    return Heard(b"x" * (grown // 2**20), "reset", time.monotonic() - began)
