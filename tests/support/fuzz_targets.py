"""What the fuzzer holds to, whatever the bytes: each target reads them and fails where a promise is broken."""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

from agenttype_api.policy import WireProtocol
from agenttype_proxy.errors import EventTooLarge
from agenttype_proxy.listener import ServerLimits
from agenttype_proxy.request_reader import Head, Refused, RequestReader
from agenttype_proxy.sse import Event, EventReader
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.reservation import Grant
from agenttype_sidecar.errors import MalformedBody, Refusal
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm import paths
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.meter import Meter
from agenttype_sidecar.routing.routes import Routes
from agenttype_sidecar.rules import message_texts
from agenttype_sidecar.tools.mcp import messages

from support import strict_requests
from support.programs.sidecars import a_policy

_LIMIT = 4096
_ALLOWED = re.compile("lookup_.*", re.DOTALL)
_ROUTES = Routes(a_policy("http://engine.test"))
_ENDPOINTS = [
    endpoint
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/v1/responses", "/v1/embeddings")
    if (endpoint := paths.endpoint(path)) is not None
]
_GRANTS = [Grant(Amounts(requests=1), None, clamped=False), Grant(Amounts(10, 16, 1), 16, clamped=True)]


class BrokenPromiseError(AssertionError):
    """A promise that these bytes break."""


def _hold(promise: object, words: str) -> None:
    if not promise:
        raise BrokenPromiseError(words)


def events(data: bytes) -> None:
    """All events are the stream, however it was cut; the meter reads each of them."""
    step, stream = data[:1], data[1:]
    size = (step[0] if step else 0) + 1
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    whole, cut = _read([stream]), _read(pieces)
    _hold(whole == cut, "another cut, other events")
    if whole is None:
        return
    _hold(b"".join(event.raw for event in whole) == stream, "the events are not the stream")
    for event in whole:
        _hold(all(isinstance(piece.text, str) for piece in message_texts.of_event(event.data)), "a text that is none")
    for protocol in WireProtocol:
        meter = Meter(protocol, keep_usage=True, running=False)
        _hold(b"".join(meter.passed(event) for event in whole) == stream, "a meter that keeps all changed the stream")
        taking = Meter(protocol, keep_usage=False, running=True)
        _hold(len(b"".join(taking.passed(event) for event in whole)) <= len(stream), "a meter added bytes")
        counts = [count for count in (*meter.usage, *taking.usage) if count is not None]
        _hold(all(0 <= count < 2**62 for count in counts), "a count that no ledger can hold")


def _read(pieces: list[bytes]) -> list[Event] | None:
    reader, found = EventReader(_LIMIT), []
    try:
        for piece in pieces:
            found += reader.feed(piece)
        return found + reader.flush()
    except EventTooLarge:
        return None


def body(data: bytes) -> None:
    """A body is refused, or everybody reads what policy read, before and after it was changed."""
    try:
        read = Body(data)
    except MalformedBody:
        return
    object_ = _strictly(data)
    _hold(read.members == object_, "policy read another body")
    _hold(read.spliced({}) == data, "an unchanged body was changed")
    changed = _strictly(read.spliced({"model": "base", "max_tokens": 7}))
    _hold(changed == object_ | {"model": "base", "max_tokens": 7}, "a change changed more")
    for endpoint in _ENDPOINTS:
        _call(endpoint, read)


def _call(endpoint: paths.Endpoint, read: Body) -> None:
    try:
        call = calls.read(endpoint, read, _ROUTES)
    except Refusal:
        return
    ask = call.claim()
    _hold(ask is None or (ask.prompt >= 0 and ask.answers >= 1), "a call that asks for less than nothing")
    calls.tokenize_body(call)
    for grant in _GRANTS:
        sent = _strictly(calls.rewritten(call, grant))
        _hold(sent["model"] == "base", "another model went out")


def _strictly(data: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _hold(len(dict(pairs)) == len(pairs), "a member twice")
        return dict(pairs)

    def number(text: str) -> Any:
        raise BrokenPromiseError(f"{text} is not JSON")

    found = json.loads(data.decode(), object_pairs_hook=once, parse_constant=number)
    _hold(isinstance(found, dict), "not an object")
    return dict(found)


def message(data: bytes) -> None:
    """A message is refused in JSON, or the tool that policy read is the one that any server reads."""
    try:
        call = messages.read(data, None)
    except messages.McpRefusal as refusal:
        json.loads(refusal.body())
        return
    found = _strictly(data)
    folded = {name.casefold(): value for name, value in found.items()}
    _hold((call.method == "tools/call") == (folded.get("method") == "tools/call"), "another method")
    if call.tool is not None:
        params = {name.casefold(): value for name, value in folded["params"].items()}
        _hold(params["name"] == call.tool, "another tool")


def listing(data: bytes) -> None:
    """No list that leaves us, by any reader, names a tool that is not allowed."""
    out = messages.filtered(data, _ALLOWED)
    messages.failed(data)
    try:
        found = json.loads(out)
    except (ValueError, RecursionError):
        return
    for answer in found if isinstance(found, list) else [found]:
        result = answer.get("result") if isinstance(answer, dict) else None
        tools = result.get("tools") if isinstance(result, dict) else None
        for tool in tools if isinstance(tools, list) else []:
            _hold(_ALLOWED.fullmatch(tool["name"]), "a tool that is not allowed is listed")


def requests(data: bytes) -> None:
    """What is read as a request, a strict reader reads as the same one, however its bytes were cut."""
    step, stream = data[:1], data[1:]
    size = (step[0] if step else 0) + 1
    whole = _heard([stream])
    cut = _heard([stream[at : at + size] for at in range(0, len(stream), size)])
    _hold(whole == cut, "another cut, other requests")
    _hold(whole == strict_requests.read(stream)[: len(whole)], "a strict reader reads something else")


class _Sink:
    """Keeps what a reader tells."""

    def __init__(self) -> None:
        self.whole: list[strict_requests.Request] = []
        self._head: Head | None = None
        self._body = b""

    def head_begun(self) -> None:
        self._body = b""

    def head_read(self, head: Head) -> int:
        self._head = head
        return 0

    def body_read(self, data: bytes) -> None:
        self._body += data

    def request_read(self) -> None:
        head = self._head
        if head is not None:
            fields = [(name, value.strip(b" \t")) for name, value in head.headers]
            self.whole.append(strict_requests.Request(head.method, head.target, head.version, fields, self._body))


def _heard(pieces: list[bytes]) -> list[strict_requests.Request]:
    sink = _Sink()
    reader = RequestReader(sink, ServerLimits())
    with contextlib.suppress(Refused):
        for piece in pieces:
            reader.feed(piece)
    return sink.whole


TARGETS: dict[str, Callable[[bytes], None]] = {
    "events": events,
    "body": body,
    "message": message,
    "listing": listing,
    "requests": requests,
}
