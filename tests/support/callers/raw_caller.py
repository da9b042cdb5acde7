"""A caller that sends exactly the bytes of a case, in its own time, and hears everything out."""

import asyncio
import contextlib
import re
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from support.servers.scripted_upstream import Reset, Say, Wait

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]*")
_LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class HalfClose:
    """Send FIN, and go on listening."""


@dataclass(frozen=True)
class RawAnswer:
    """One answer; `complete` tells whether all of its body came."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes
    complete: bool


@dataclass(frozen=True)
class Heard:
    """What came back, how it ended ("closed", "reset", or "open" where it was not over in time), and after how long."""

    data: bytes
    ended: str
    seconds: float

    @property
    def answers(self) -> list[RawAnswer]:
        """The final answers, parsed strictly; whatever is no answer is an error."""
        return _parsed(self.data)

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(answer.status for answer in self.answers)


CallerStep = Say | Wait | Reset | HalfClose


async def converse(port: int, said: bytes | Sequence[CallerStep], within: float = 10) -> Heard:
    """Say the steps, and listen until the other side closes, or until `within` seconds have passed."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    speaking = asyncio.create_task(_speak(writer, [Say(said)] if isinstance(said, bytes) else said))
    parts: list[bytes] = []
    ended = "closed"
    try:
        async with asyncio.timeout(within):
            while data := await reader.read(2**16):
                parts.append(data)
    except TimeoutError:
        ended = "open"
    except OSError:
        ended = "reset"
    finally:
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await speaking
        writer.transport.abort()
    return Heard(b"".join(parts), ended, time.monotonic() - began)


async def _speak(writer: asyncio.StreamWriter, steps: Sequence[CallerStep]) -> None:
    with contextlib.suppress(OSError):
        for step in steps:
            match step:
                case Say(data):
                    writer.write(data)
                    await writer.drain()
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case HalfClose():
                    writer.write_eof()
                case Reset():
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                    writer.transport.abort()


def _parsed(data: bytes) -> list[RawAnswer]:
    answers = []
    while data:
        head, blank, rest = data.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        status_line = _STATUS_LINE.fullmatch(line)
        assert blank, "a head that is not whole"
        assert status_line, f"no status line: {line[:60]!r}"
        fields = dict(field.split(b": ", 1) for field in lines)
        status = int(status_line[1])
        body, data, complete = _body(fields, rest)
        if status >= 200:
            answers.append(RawAnswer(status, fields, body, complete))
    return answers


def _body(fields: dict[bytes, bytes], rest: bytes) -> tuple[bytes, bytes, bool]:
    if b"transfer-encoding" in fields:
        return _dechunked(rest)
    size = int(fields.get(b"content-length", b"0"))
    return rest[:size], rest[size:], len(rest) >= size


def _dechunked(rest: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return body, rest[2:], True
        body, rest = body + rest[:size], rest[size + 2 :]
    return body, b"", False
