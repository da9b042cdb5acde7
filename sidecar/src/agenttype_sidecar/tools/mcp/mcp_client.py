"""Our client for one MCP server, in either era of the protocol.

A server is asked once which era it speaks (`server/discover`); one that does not know the request gets a handshake.
What it sends besides the answer is passed to the caller. What it asks the agent (sampling, input, roots) is refused,
because behind the aggregate endpoint the agent cannot answer for one server alone.
"""

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agenttype_api import keys
from agenttype_proxy import headers as fields
from agenttype_proxy.client import Client
from agenttype_proxy.errors import UpstreamError
from agenttype_proxy.messages import Deadlines, Headers, Request
from agenttype_proxy.response import Response
from agenttype_proxy.sse import Event, EventReader

from agenttype_sidecar.errors import Refusal
from agenttype_sidecar.tools import refusals
from agenttype_sidecar.tools.mcp import envelopes, messages, protocol
from agenttype_sidecar.tools.mcp.protocol import HANDSHAKE, HANDSHAKES, META_PREFIX, MODERN
from agenttype_sidecar.tools.refusals import ToolUnavailable
from agenttype_sidecar.tools.servers import ToolServer

#: Our name to servers and callers.
IDENTITY: Final = {"name": "agenttype", "version": keys.VERSION}
_ACCEPT: Final = (b"accept", b"application/json, text/event-stream")
#: Fields of the caller that concern our endpoint, not the server's.
_OF_OURS: Final = (b"accept", b"content-type", b"origin", b"referer", b"last-event-id", protocol.VERSION,
                   protocol.METHOD, protocol.NAME, protocol.SESSION)  # fmt: skip
_BACKGROUND: Final = Deadlines(connect=2.0, first_byte=2.0, idle=2.0, total=2.0)
_SMALL: Final = 64 * 1024
_FIELD: Final = re.compile(rb"(?:^|(?<=[\r\n]))(id|retry): ?([!-~]+)")
#: How often a stream that its server ends is resumed, and after how many seconds if the server does not say.
_RESUMPTIONS: Final = 16
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 5.0
_OK: Final = 200
_GONE: Final = 404
_FAILED: Final = 400
_REDIRECTS: Final = range(300, 400)


@dataclass(frozen=True, slots=True)
class PeerRequest:
    """A request to a server.

    Attributes:
        method: Its JSON-RPC method.
        params: Its params, without what the era adds.
        deadlines: Its deadlines.
        limit: The largest message of the answer in bytes.
        named: The tool's name, which the newer era sends in a header field too.
        incoming: The caller's header fields.
        parameters: Header fields made from arguments.
        session: The caller's session, if the server has sessions; "" for callers without one.
        token: The caller's progress token.
        on_event: Gets every event before the answer, with its message if it is for the caller.
    """

    method: str
    params: dict[str, Any]
    deadlines: Deadlines
    limit: int
    named: str | None = None
    incoming: Headers = field(default_factory=list)
    parameters: Headers = field(default_factory=list)
    session: str = ""
    token: Any = None
    on_event: Callable[[Event, dict[str, Any] | None], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class _Handshake:
    """The result of the handshake with a server of the older era."""

    version: str
    session: bytes | None

    def headers(self) -> Headers:
        said: Headers = [(protocol.VERSION, self.version.encode())]
        return said if self.session is None else [*said, (protocol.SESSION, self.session)]


class _SessionGone(Exception):  # noqa: N818 — names a state
    """The server has forgotten our session."""


class _NoMessage(Exception):  # noqa: N818 — names a state
    """The server answered with a status and no message."""


class McpClient:
    """Sends requests to one server.

    Attributes:
        list_is_old: Whether the server has said that its tools have changed.
    """

    def __init__(self, server: ToolServer, client: Client) -> None:
        self.server = server
        self.list_is_old = False
        self._client = client
        self._numbers = itertools.count(1)
        self._modern: bool | None = None
        self._handshakes: dict[str, _Handshake] = {}
        self._negotiating = asyncio.Lock()
        self._background_tasks: set[asyncio.Task[None]] = set()

    async def ask(self, asked: PeerRequest) -> dict[str, Any]:
        """Return the answer to a request: a message with `result` or `error`; its id is ours and means nothing.

        Raises:
            ToolUnavailable: What came back is not an answer.
            UpstreamError: The connection failed.
            CredentialUnavailable: We have no credential for it.
        """
        for first in (True, False):
            handshake = await self._handshake(asked.session, asked.deadlines)
            try:
                return await self._exchange(asked, handshake)
            except _SessionGone as gone:
                self._handshakes.pop(asked.session, None)
                if not first:
                    raise ToolUnavailable from gone
            except _NoMessage as unsaid:
                self.forget()
                raise ToolUnavailable from unsaid
        raise ToolUnavailable

    def forget(self) -> None:
        """Forget the era, so that it is asked again next time: the server may have been replaced."""
        self._modern = None

    def leave(self, session: str) -> None:
        """End a caller's session with the server in the background, if there is one."""
        handshake = self._handshakes.pop(session, None)
        if handshake is not None and handshake.session is not None:
            self._send_in_background(Request(b"DELETE", self._target(), self._headers([], handshake.headers()), b""))

    # eras

    async def _handshake(self, session: str, deadlines: Deadlines) -> _Handshake | None:
        """Return the handshake with a server of the older era, None for one of the newer."""
        handshake = self._handshakes.get(session)
        if self._modern or handshake is not None:
            return handshake
        async with self._negotiating:
            if self._modern is None:
                self._modern = await self._discovered(deadlines)
            if not self._modern and session not in self._handshakes:
                self._handshakes[session] = await self._initialize(deadlines)
            return self._handshakes.get(session)

    async def _discovered(self, deadlines: Deadlines) -> bool:
        try:
            answer = await self._exchange(PeerRequest("server/discover", {}, deadlines, _SMALL), None)
        except (_NoMessage, ToolUnavailable):
            return False
        result = answer.get("result")
        versions = result.get("supportedVersions") if isinstance(result, dict) else None
        return isinstance(versions, list) and MODERN in versions

    async def _initialize(self, deadlines: Deadlines) -> _Handshake:
        params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": IDENTITY}
        number = next(self._numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": "initialize", "params": params}
        async with await self._send(message, self._headers([], []), deadlines) as response:
            session = fields.get(response.headers, protocol.SESSION)
            answer = await self._answer(response, number, PeerRequest("initialize", params, deadlines, _SMALL))
        result = answer.get("result")
        version = result.get("protocolVersion") if isinstance(result, dict) else None
        if version not in HANDSHAKES:
            raise ToolUnavailable("the tool server speaks no version of MCP that we know")
        handshake = _Handshake(version, session)
        await self._notify({"jsonrpc": "2.0", "method": "notifications/initialized"}, handshake, deadlines)
        return handshake

    # messages

    async def _exchange(self, asked: PeerRequest, handshake: _Handshake | None) -> dict[str, Any]:
        number = next(self._numbers)
        params, headers = _modern(asked) if handshake is None else _older(asked, handshake)
        if asked.token is not None:
            params["_meta"] = {**params.get("_meta", {}), "progressToken": number}
        message = {"jsonrpc": "2.0", "id": number, "method": asked.method, "params": params}
        try:
            response = await self._send(message, self._headers(asked.incoming, headers), asked.deadlines)
            async with response:
                if response.status == _GONE and handshake is not None and handshake.session is not None:
                    raise _SessionGone
                return await self._answer(response, number, asked, handshake)
        except asyncio.CancelledError:
            if handshake is not None:  # in the newer era the closed connection is enough
                body = {"method": "notifications/cancelled", "params": {"requestId": number}}
                self._send_in_background(
                    self._request({"jsonrpc": "2.0", **body}, self._headers([], handshake.headers()))
                )
            raise

    async def _answer(
        self, response: Response, number: int, asked: PeerRequest, handshake: _Handshake | None = None
    ) -> dict[str, Any]:
        if response.status in _REDIRECTS:
            raise ToolUnavailable("the tool server answers with a redirect, and redirects are not followed")
        if fields.is_encoded(response.headers):
            raise ToolUnavailable("the tool server answers in an encoding that was not requested")
        if not envelopes.is_stream(response.headers):
            message = envelopes.loaded(await response.read(asked.limit))
            if message is not None and ("result" in message or "error" in message):
                return message
            raise _NoMessage if response.status >= _FAILED else ToolUnavailable
        return await self._streamed(response, number, asked, handshake)

    async def _streamed(
        self, response: Response, number: int, asked: PeerRequest, handshake: _Handshake | None
    ) -> dict[str, Any]:
        """Read a stream up to the answer; resume it if the server ends it earlier and said how to resume."""
        position = _StreamPosition()
        answer = await self._read(response, number, asked, handshake, position)
        for _ in range(_RESUMPTIONS):
            if answer is not None or handshake is None or position.event is None:
                break
            await asyncio.sleep(position.pause)
            headers = [*self._headers(asked.incoming, handshake.headers()), (b"last-event-id", position.event)]
            request = Request(b"GET", self._target(), headers, b"")
            async with await self._client.send(self.server.origin, request, asked.deadlines) as again:
                if again.status != _OK or not envelopes.is_stream(again.headers):
                    break
                answer = await self._read(again, number, asked, handshake, position)
        if answer is None:
            raise ToolUnavailable("the tool server ended its answer without one")
        return answer

    async def _read(
        self,
        response: Response,
        number: int,
        asked: PeerRequest,
        handshake: _Handshake | None,
        position: "_StreamPosition",
    ) -> dict[str, Any] | None:
        """Return the answer in a stream, None if it ends without one."""
        async for event in _events(response, asked.limit):
            position.note(event)
            message = envelopes.loaded(event.data) if event.data else None
            if message is not None and "method" not in message and message.get("id") == number:
                return message
            await self._on_event(event, message, asked, handshake)
        return None

    async def _on_event(
        self, event: Event, message: dict[str, Any] | None, asked: PeerRequest, handshake: _Handshake | None
    ) -> None:
        if message is not None and "method" in message and "id" in message:
            await self._decline(message, handshake)
            return
        if message is not None and message.get("method") == "notifications/tools/list_changed":
            self.list_is_old = True
        if asked.on_event is not None:
            await asked.on_event(event, _for_the_caller(message, asked))

    async def _decline(self, message: dict[str, Any], handshake: _Handshake | None) -> None:
        """Answer a server's request to its client: only a ping is accepted."""
        if handshake is None:
            return  # the newer era has no way to answer, and no such requests
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] == "ping":
            said["result"] = {}
        else:
            text = "requests to the agent are not passed on here; the agent can use this server's own endpoint"
            said["error"] = {"code": protocol.METHOD_NOT_FOUND, "message": text}
        with contextlib.suppress(UpstreamError):
            await self._notify(said, handshake, _BACKGROUND)

    # wire

    async def _notify(self, message: dict[str, Any], handshake: _Handshake, deadlines: Deadlines) -> None:
        async with await self._send(message, self._headers([], handshake.headers()), deadlines) as response:
            await response.read(_SMALL)

    async def _send(self, message: dict[str, Any], headers: Headers, deadlines: Deadlines) -> Response:
        return await self._client.send(self.server.origin, self._request(message, headers), deadlines)

    def _request(self, message: dict[str, Any], headers: Headers) -> Request:
        return Request(b"POST", self._target(), headers, envelopes.dumped(message))

    def _target(self) -> bytes:
        return self.server.origin.target(b"") or b"/"

    def _headers(self, incoming: Headers, added: Headers) -> Headers:
        kept = fields.without(self.server.request_headers(incoming), *_OF_OURS)
        theirs = [name_value for name_value in kept if not name_value[0].startswith(protocol.PARAMETER)]
        return [*theirs, refusals.JSON, _ACCEPT, *added]

    def _send_in_background(self, request: Request) -> None:
        """Send a request without waiting for its answer."""
        task = asyncio.get_running_loop().create_task(self._done(request))
        self._background_tasks.add(task)
        task.add_done_callback(self._background_tasks.discard)

    async def _done(self, request: Request) -> None:
        with contextlib.suppress(UpstreamError, Refusal):
            async with await self._client.send(self.server.origin, request, _BACKGROUND) as response:
                await response.read(_SMALL)


class _StreamPosition:
    """The last event id of a stream, and how long to wait before resuming it."""

    def __init__(self) -> None:
        self.event: bytes | None = None
        self.pause = _PAUSE

    def note(self, event: Event) -> None:
        for name, value in _FIELD.findall(event.raw):
            if name == b"id":
                self.event = value
            elif value.isdigit():
                self.pause = min(int(value[:9]) / 1000, _LONGEST_PAUSE)


async def _events(response: Response, limit: int) -> AsyncIterator[Event]:
    reader = EventReader(limit)
    async for chunk in response.chunks():
        for event in reader.feed(chunk):
            yield event
    for event in reader.flush():
        yield event


def _for_the_caller(message: dict[str, Any] | None, asked: PeerRequest) -> dict[str, Any] | None:
    """Return a notification as the caller may see it: for its own request, with its own token."""
    if message is None:
        return None
    method, params = message.get("method"), message.get("params")
    if method == "notifications/progress" and asked.token is not None and isinstance(params, dict):
        return {**message, "params": {**params, "progressToken": asked.token}}
    return message if method == "notifications/message" else None


def _own(asked: PeerRequest) -> dict[str, Any]:
    """Return the caller's `_meta` without the members of its own era."""
    meta = asked.params.get("_meta")
    kept = meta.items() if isinstance(meta, dict) else ()
    return {name: value for name, value in kept if not name.startswith(META_PREFIX) and name != "progressToken"}


def _modern(asked: PeerRequest) -> tuple[dict[str, Any], Headers]:
    said = {protocol.META_VERSION: MODERN, protocol.META_CLIENT: IDENTITY, protocol.META_CAPABILITIES: {}}
    headers: Headers = [(protocol.VERSION, MODERN.encode()), (protocol.METHOD, asked.method.encode())]
    if asked.named is not None:
        headers.append((protocol.NAME, messages.header_value(asked.named)))
    return {**asked.params, "_meta": {**_own(asked), **said}}, [*headers, *asked.parameters]


def _older(asked: PeerRequest, handshake: _Handshake) -> tuple[dict[str, Any], Headers]:
    params = {name: value for name, value in asked.params.items() if name != "_meta"}
    own = _own(asked)
    return ({**params, "_meta": own} if own else params), handshake.headers()
