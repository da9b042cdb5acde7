"""Send exchanges to an engine, real or stand-in, and keep what came back and what it counted meanwhile."""

import contextlib
import http.client
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support import engine_metrics
from support.exchanges import Exchange

KEPT_HEADERS = ("content-type", "transfer-encoding", "allow", "location")
# The longest exchange makes 100 tokens, which take ten seconds on two cores that others use too.
PATIENCE = 120.0
TICK = 0.005
LEGIBLE = 200
VECTOR = 4
BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")


class Replay:
    """One engine at `url`, with the folder in which its adapters lie; an exchange may take `patience` seconds."""

    def __init__(self, url: str, adapters: Path, patience: float = PATIENCE) -> None:
        self._host = urlsplit(url).netloc
        self._adapters = str(adapters)
        self._patience = patience
        self._lost = ""

    def groups(self, groups: dict[str, list[Exchange]]) -> dict[str, dict[str, Any]]:
        """Send all; results by group and name."""
        return {group: {one["name"]: one for one in self.group(groups[group])} for group in groups}

    def group(self, exchanges: list[Exchange]) -> list[dict[str, Any]]:
        """Send them one after the other."""
        return [self.one(exchange) for exchange in exchanges]

    def one(self, exchange: Exchange) -> dict[str, Any]:
        """Send one; the result is plain JSON: name, request, reply and books, or name, request and how it `failed`.

        One that fails is told and lets the next be sent, unless the engine does not come to rest after it.
        """
        told = {"name": exchange.name, "request": _request(exchange)}
        if self._lost:
            return told | {"failed": self._lost}
        begun = time.monotonic()
        try:
            return told | self._exchanged(exchange)
        except (OSError, http.client.HTTPException, ValueError) as error:
            seconds = time.monotonic() - begun
            self._recover(exchange)
            return told | {"failed": f"{type(error).__name__} after {seconds:.1f} s: {error}"}

    def _exchanged(self, exchange: Exchange) -> dict[str, Any]:
        before = engine_metrics.look(self._host).counters
        reply = self._send(exchange) if exchange.leave_after is None else self._leave(exchange)
        after = self._settled()
        books = {name: after.get(name, 0) - before.get(name, 0) for name in after}
        return {"reply": reply, "books": {name: amount for name, amount in books.items() if amount}}

    def _recover(self, failed: Exchange) -> None:
        """Wait until the engine has let go of a failed exchange; where it does not, ask it nothing more."""
        try:
            self._settled()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._lost = f"not sent: the engine did not come to rest after {failed.name!r} ({error})"

    def _open(self, exchange: Exchange) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._host, timeout=self._patience)
        data = exchange.raw
        if data is None and exchange.body is not None:
            data = json.dumps(exchange.body).replace("{adapters}", self._adapters).encode()
        headers = {"content-type": "application/json"} | exchange.headers
        connection.request(exchange.method, exchange.path, data, headers)
        return connection

    def _send(self, exchange: Exchange) -> dict[str, Any]:
        with contextlib.closing(self._open(exchange)) as connection:
            answer = connection.getresponse()
            kept = {name: self._general(answer.headers[name]) for name in KEPT_HEADERS if name in answer.headers}
            text = self._general(self._whole(answer).decode())
        reply = {"status": answer.status, "headers": kept}
        kind = kept.get("content-type", "")
        if kind.startswith("text/event-stream"):
            return reply | {"events": _events(text)}
        if exchange.path == "/metrics":
            return reply | {"families": engine_metrics.families(text)}
        if kind.startswith("application/json"):
            return reply | {"json": _without_vectors(json.loads(text))}
        return reply | {"text": text}

    def _whole(self, answer: http.client.HTTPResponse) -> bytes:
        """The body; one that comes in drops without an end is given up too."""
        due, body = time.monotonic() + self._patience, b""
        while part := answer.read1():
            body += part
            if time.monotonic() > due:
                raise TimeoutError(f"the answer has no end; after {len(body)} bytes: {body[-LEGIBLE:]!r}")
        return body

    def _general(self, text: str) -> str:
        """Take out what belongs to this machine and this run."""
        text = text.replace(self._host, "{host}").replace(self._adapters, "{adapters}")
        return re.sub(r'"root":"[^"{][^"]*"', '"root":"{model}"', text)

    def _leave(self, exchange: Exchange) -> dict[str, Any]:
        """Hang up once the answer has begun."""
        with contextlib.closing(self._open(exchange)) as connection:
            if exchange.leave_after:
                answer = connection.getresponse()
                for _ in range(exchange.leave_after):
                    _skip_to_an_event(answer)
            else:
                self._until(lambda: engine_metrics.look(self._host).busy)
            connection.sock.close()
        return {"left after": exchange.leave_after}

    def _settled(self) -> dict[str, float]:
        """The counters once nothing runs and two looks agree; the engine counts a little after it replies."""
        looks = [engine_metrics.look(self._host)]

        def calm() -> bool:
            looks.append(engine_metrics.look(self._host))
            return not looks[-1].busy and looks[-1] == looks[-2]

        self._until(calm)
        return looks[-1].counters

    def _until(self, condition: Any) -> None:
        deadline = time.monotonic() + self._patience
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the engine did not come to rest")
            time.sleep(TICK)


class InOrder:
    """Exchanges that are sent as they are asked for: each once, and after all that stand before it."""

    def __init__(self, replay: Replay, groups: dict[str, list[Exchange]]) -> None:
        self._replay = replay
        self._waiting = [(group, exchange) for group, exchanges in groups.items() for exchange in exchanges]
        self._results: dict[tuple[str, str], dict[str, Any]] = {}

    def result(self, group: str, name: str) -> dict[str, Any]:
        """What became of one exchange."""
        while (group, name) not in self._results:
            of, exchange = self._waiting.pop(0)
            self._results[of, exchange.name] = self._replay.one(exchange)
        return self._results[group, name]


def _request(exchange: Exchange) -> dict[str, Any]:
    """A request as it is recorded."""
    told = {"method": exchange.method, "path": exchange.path}
    if exchange.raw is not None:
        return told | {"raw": exchange.raw.decode()}
    return told if exchange.body is None else told | {"body": _short(exchange.body)}


def _skip_to_an_event(answer: http.client.HTTPResponse) -> None:
    while line := answer.readline():
        if line.startswith(b"data:"):
            return
    raise ValueError("the stream ended before its caller left")


def _without_vectors(value: Any) -> Any:
    """An answer as it is recorded: of a vector its first numbers, of its base64 the first letters."""
    if isinstance(value, dict):
        return {key: _without_vectors(part) for key, part in value.items()}
    if isinstance(value, str) and len(value) > LEGIBLE and BASE64.fullmatch(value):
        return value[:VECTOR]
    if isinstance(value, list):
        numbers = len(value) > VECTOR and all(isinstance(part, float) for part in value)
        return value[:VECTOR] if numbers else [_without_vectors(part) for part in value]
    return value


def _short(value: Any) -> Any:
    """A request as it is recorded: text beyond reading size is cut."""
    if isinstance(value, dict):
        return {key: _short(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_short(part) for part in value]
    if isinstance(value, str) and len(value) > LEGIBLE:
        return f"{value[:LEGIBLE]}… ({len(value)} characters)"
    return value


def _events(text: str) -> list[dict[str, Any]]:
    """The frames of an event stream; data is JSON, or the text of a mark such as [DONE]."""
    events = []
    for frame in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line)
        if "data" in fields:
            data = fields["data"]
            content = json.loads(data) if data.startswith("{") else data
            events.append({"event": fields.get("event"), "data": content})
    return events
