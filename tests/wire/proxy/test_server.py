# ruff: noqa: ARG001 — an ASGI app is given three things whether it needs them or not
"""The server against callers that send exactly what a test wants them to send."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from agenttype_proxy import asgi
from agenttype_proxy.errors import BodyTimeout, BodyTooLarge, CallerGone
from agenttype_proxy.server import ServedApp, ServerLimits, serve
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

GET = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
HANGING_UP = b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"


@dataclass
class Served:
    """A running server."""

    ports: list[int]
    stop: asyncio.Event
    task: "asyncio.Task[None]"

    async def caller(self, listener: int = 0) -> "Caller":
        return Caller(*await asyncio.open_connection("127.0.0.1", self.ports[listener]))


@dataclass
class Caller:
    """A caller that writes and reads bytes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, until: bytes, within: float = 30) -> bytes:
        async with asyncio.timeout(within):
            return await self.reader.readuntil(until)

    async def hear_out(self, within: float = 30) -> bytes:
        """Everything until the server closes in order."""
        async with asyncio.timeout(within):
            return await self.reader.read()

    async def say_without_end(self) -> None:
        """Send a little every now and then until the connection breaks."""
        while True:
            self.writer.write(b"x" * 1000)
            await self.writer.drain()
            await asyncio.sleep(0.005)

    def leave(self) -> None:
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def serving(
    *apps: asgi.ASGIApp, limits: ServerLimits | None = None, drain_seconds: float = 0.0
) -> AsyncIterator[Served]:
    ready: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    listeners = [ServedApp(app, "127.0.0.1", 0) for app in apps]
    limits = limits or ServerLimits()
    task = asyncio.create_task(
        serve(listeners, limits=limits, stop=stop, drain_seconds=drain_seconds, on_ready=ready.set_result)
    )
    served = Served(await ready, stop, task)
    try:
        yield served
    finally:
        stop.set()
        async with asyncio.timeout(drain_seconds + 30):
            await task


async def ask(app: asgi.ASGIApp, said: bytes, limits: ServerLimits | None = None) -> bytes:
    """All that the server answers to ``said`` until it closes."""
    async with serving(app, limits=limits) as served:
        caller = await served.caller()
        caller.say(said)
        heard = await caller.hear_out()
        caller.leave()
        return heard


async def echo(scope, receive, send):
    body = await asgi.read_body(receive, limit=1_000_000, timeout=30)
    line = f"{scope['method']} {scope['raw_path'].decode()}?{scope['query_string'].decode()} ".encode()
    await asgi.respond(send, 200, [], line + body)


async def never(scope, receive, send):
    raise AssertionError("no app may see this request")


def said_by(events: asyncio.Queue, *, limit: int = 1_000_000, timeout: float = 2) -> asgi.ASGIApp:
    """An app that reports what reading its request's body came to."""

    async def app(scope, receive, send):
        try:
            events.put_nowait(await asgi.read_body(receive, limit=limit, timeout=timeout))
        except Exception as error:
            events.put_nowait(error)
            raise
        await asgi.respond(send, 200, [], b"")

    return app


# What is refused.


@pytest.mark.parametrize(
    "said",
    [
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3, 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0x3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length:\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: b\nc: d\r\n\r\n",
        b"GET / HTTP/1.1\nhost: h\n\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: b\rc: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na\x00: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\n: empty\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nhost: evil\r\n\r\n",
        b"GET http://evil/ HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET evil:80 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"CONNECT evil:80 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /#fragment HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\nhost: h\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: h\r\n\r\n",
        b"GET / FTP/1.1\r\nhost: h\r\n\r\n",
        b"get / HTTP/1.1\r\nhost: h\r\n\r\n",
        b"SMUGGLE / HTTP/1.1\r\nhost: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
    ],
)
async def test_a_request_that_could_be_read_two_ways_is_refused_and_not_echoed(said):
    heard = await ask(never, said)
    assert heard == b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nhost: h\r\na: " + b"x" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"a: b\r\n" * 20 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: " + b"x" * 1_000_000,
        b"GET /" + b"x" * 5000,
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"x" * 1_000_000,
    ],
)
async def test_a_head_beyond_its_limit_is_refused_before_it_is_whole(said):
    heard = await ask(never, said, ServerLimits(head_bytes=4096, head_fields=16))
    assert heard.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"zz\r\n", b"400"),
        (b"-3\r\nabc\r\n", b"400"),
        (b"ffffffffffffffffff\r\n", b"400"),
        (b"3\r\nabcd\r\n", b"400"),
        (b"3\nabc\r\n", b"400"),
        (b"3;" + b"x" * 1_000_000, b"431"),
        (b"0\r\na: " + b"x" * 1_000_000, b"431"),
        (b"0\r\n" + b"a: b\r\n" * 20_000, b"431"),
    ],
)
async def test_garbage_in_a_bodys_framing_ends_the_request(garbage, status):
    events = asyncio.Queue()
    said = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
    async with serving(said_by(events)) as served:
        caller = await served.caller()
        caller.say(said + garbage)
        assert (await caller.hear_out()).startswith(b"HTTP/1.1 " + status)
        assert isinstance(await events.get(), CallerGone)
        caller.leave()


async def test_a_request_after_garbage_is_not_read():
    heard = await ask(echo, GET + b"garbage\r\n\r\n" + GET)
    assert heard.count(b"HTTP/1.1 200") == 1
    assert heard.endswith(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")


async def test_a_slow_head_is_refused_at_its_deadline():
    async with serving(never, limits=ServerLimits(head_seconds=0.1)) as served:
        caller = await served.caller()
        caller.say(b"GET / HTTP/1.1\r\nhost: h\r\n")
        assert (await caller.hear_out()).startswith(b"HTTP/1.1 408 ")
        caller.leave()


async def test_a_dripping_head_does_not_extend_its_deadline():
    async with serving(never, limits=ServerLimits(head_seconds=0.2)) as served, asyncio.timeout(15):
        caller = await served.caller()
        heard = asyncio.create_task(caller.hear_out())
        while not heard.done():
            caller.say(b"G" if heard.done() else b"a")
            await asyncio.wait({heard}, timeout=0.02)
        assert (await heard).startswith(b"HTTP/1.1 4")
        caller.leave()


async def test_a_connection_that_never_says_anything_is_closed():
    async with serving(never, limits=ServerLimits(head_seconds=0.1)) as served:
        caller = await served.caller()
        assert await caller.hear_out() == b""
        caller.leave()


async def test_callers_that_leave_at_once_leave_nothing_behind(caplog):
    async with serving(echo) as served:
        for said in [b"", b"GET", GET] * 50:
            sock = socket.create_connection(("127.0.0.1", served.ports[0]))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(said)
            sock.close()
            await asyncio.sleep(0)
        caller = await served.caller()
        caller.say(HANGING_UP)
        assert (await caller.hear_out()).startswith(b"HTTP/1.1 200")
        caller.leave()
    assert caplog.records == []


async def test_an_idle_connection_is_closed():
    async with serving(echo, limits=ServerLimits(idle_seconds=0.1)) as served:
        caller = await served.caller()
        caller.say(GET)
        assert (await caller.hear_out()).startswith(b"HTTP/1.1 200")
        caller.leave()


async def test_connections_beyond_the_limit_are_told_and_other_listeners_answer():
    async with serving(echo, echo, limits=ServerLimits(connections=2)) as served:
        callers = [await served.caller() for _ in range(2)]
        turned_away = await served.caller()
        turned_away.say(GET)
        assert b"503 Service Unavailable\r\nretry-after: 1\r\n" in await turned_away.hear_out()
        health = await served.caller(listener=1)
        health.say(HANGING_UP)
        assert (await health.hear_out()).startswith(b"HTTP/1.1 200")
        for caller in [*callers, turned_away, health]:
            caller.leave()


# What is answered.


async def test_a_request_is_answered_without_any_word_about_the_server():
    heard = await ask(echo, b"POST /a%2fb?x=1 HTTP/1.1\r\nHost: h\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
    assert heard == b"HTTP/1.1 200 OK\r\ncontent-length: 18\r\nconnection: close\r\n\r\nPOST /a%2fb?x=1 hi"


async def test_requests_on_one_connection_are_answered_one_after_another():
    async with serving(echo) as served:
        caller = await served.caller()
        for at in range(3):
            caller.say(b"GET /%d HTTP/1.1\r\nhost: h\r\n\r\n" % at)
            assert (await caller.hear(b"? ")).endswith(b"\r\n\r\nGET /%d? " % at)
        caller.leave()


async def test_pipelined_requests_are_answered_in_their_order():
    async def later_is_faster(scope, receive, send):
        await asyncio.sleep(0.03 if scope["path"] == "/0" else 0)
        await echo(scope, receive, send)

    first = b"POST /0 HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"
    second = b"POST /1 HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nho\r\n0\r\n\r\n"
    heard = await ask(later_is_faster, first + second + HANGING_UP)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in heard.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"POST /0? hi", b"POST /1? ho", b"GET /? "]


async def test_a_request_split_at_any_byte_is_the_same_request():
    head = b"POST /x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    said = head + b"3\r\nabc\r\n0\r\na: b\r\n\r\n"
    async with serving(echo) as served:
        for at in range(1, len(said)):
            caller = await served.caller()
            caller.say(said[:at])
            await asyncio.sleep(0)
            caller.say(said[at:])
            assert (await caller.hear_out()).endswith(b"\r\n\r\nPOST /x? abc")
            caller.leave()


async def test_more_pipelined_requests_than_may_wait_are_read_as_those_before_are_answered():
    heard = await ask(echo, GET * 2000 + HANGING_UP, ServerLimits(pipelined=4))
    assert heard.count(b"HTTP/1.1 200") == 2001


async def test_pipelined_requests_with_bodies_are_read_as_those_before_are_answered():
    said = b"".join(
        b"POST /%d HTTP/1.1\r\nhost: h\r\ncontent-length: 2000\r\n\r\n" % at + b"x" * 2000 for at in range(300)
    )
    heard = await ask(echo, said + HANGING_UP, ServerLimits(pipelined=4))
    assert [part.partition(b"?")[0] for part in heard.split(b"POST /")[1:]] == [b"%d" % at for at in range(300)]


async def test_a_caller_that_stops_in_a_pipelined_head_is_left_at_its_deadline():
    heard = await ask(echo, GET * 50 + b"GET /", ServerLimits(pipelined=4, head_seconds=0.2))
    assert (heard.count(b"HTTP/1.1 200"), heard.count(b"HTTP/1.1 408")) == (50, 1)


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_an_offer_to_upgrade_is_ignored_and_the_body_still_arrives(upgrade):
    head = (
        b"POST / HTTP/1.1\r\nhost: h\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: "
        + upgrade
        + b"\r\nhttp2-settings: AAMA\r\n"
    )
    with_length = head + b"content-length: 5\r\n\r\nhello"
    with_chunks = head + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    without = head + b"\r\n"
    heard = await ask(echo, with_length + with_chunks + without + HANGING_UP)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in heard.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"POST /? hello", b"POST /? hello", b"POST /? ", b"GET /? "]


async def test_the_body_of_an_ignored_upgrade_may_come_later():
    async with serving(echo) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 5\r\n\r\n")
        await asyncio.sleep(0.02)
        caller.say(b"hel")
        await asyncio.sleep(0.02)
        caller.say(b"lo")
        assert (await caller.hear(b"hello")).startswith(b"HTTP/1.1 200")
        caller.leave()


async def test_a_caller_that_expects_100_continue_is_told_to_go_on():
    async with serving(echo) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert await caller.hear(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        caller.say(b"hi")
        assert (await caller.hear(b"hi")).startswith(b"HTTP/1.1 200 OK")
        caller.leave()


async def test_a_head_request_gets_the_head_alone():
    heard = await ask(echo, b"HEAD / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
    assert heard == b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\n"


async def test_a_stream_goes_out_chunked_and_an_old_caller_gets_it_plain():
    async def app(scope, receive, send):
        await asgi.start(send, 200, [(b"transfer-encoding", b"gzip"), (b"keep-alive", b"x")])
        await asgi.write(send, b"one")
        await asgi.write(send, b"")
        await asgi.write(send, b"two")
        await asgi.finish(send)

    assert await ask(app, HANGING_UP) == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )
    assert await ask(app, b"GET / HTTP/1.0\r\n\r\n") == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo"


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_body_has_none(status):
    async def app(scope, receive, send):
        await asgi.start(send, status, [])
        await asgi.finish(send)

    heard = await ask(app, HANGING_UP)
    assert heard.startswith(b"HTTP/1.1 %d" % status)
    assert heard.endswith(b"\r\nconnection: close\r\n\r\n")


async def test_a_head_is_sent_before_the_first_body_byte_is_known():
    known = asyncio.Event()

    async def app(scope, receive, send):
        await asgi.start(send, 200, [])
        await known.wait()
        await asgi.finish(send)

    async with serving(app) as served:
        caller = await served.caller()
        caller.say(GET)
        assert (await caller.hear(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        known.set()
        assert await caller.hear(b"0\r\n\r\n") == b"0\r\n\r\n"
        caller.leave()


async def test_an_early_answer_reaches_a_caller_that_is_still_sending():
    async def app(scope, receive, send):
        await asgi.respond(send, 413, [], b"too large\n")

    async with serving(app, limits=ServerLimits(linger_seconds=30)) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 20000000\r\n\r\n" + b"x" * 20_000_000)
        heard = await caller.hear_out()
        assert (
            heard
            == b"HTTP/1.1 413 Request Entity Too Large\r\ncontent-length: 10\r\nconnection: close\r\n\r\ntoo large\n"
        )
        caller.leave()


async def test_a_refused_caller_that_never_stops_sending_is_cut():
    async with serving(never, limits=ServerLimits(linger_seconds=0.1)) as served, asyncio.timeout(15):
        caller = await served.caller()
        caller.say(b"garbage\r\n\r\n")
        with pytest.raises(ConnectionError):
            await caller.say_without_end()
        caller.leave()


async def test_a_starlette_app_is_served():
    async def info(request):
        return JSONResponse({"name": request.path_params["name"], "body": (await request.body()).decode()})

    async def stream(request):
        async def parts():
            yield b"one"
            yield b"two"

        return StreamingResponse(parts())

    app = Starlette(routes=[Route("/info/{name}", info, methods=["POST"]), Route("/stream", stream)])
    heard = await ask(
        app,
        b"POST /info/a%20b HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"
        b"GET /stream HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    )
    assert b'{"name":"a b","body":"hi"}' in heard
    assert heard.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


# What an app does wrong.


async def raising(scope, receive, send):
    raise ValueError("secret")


async def returning(scope, receive, send):
    return


async def splitting(scope, receive, send):
    await asgi.respond(send, 200, [(b"a", b"b\r\nset-cookie: evil")], b"")


@pytest.mark.parametrize("app", [raising, returning, splitting])
async def test_an_app_that_fails_before_its_answer_is_a_plain_500(app):
    heard = await ask(app, GET)
    assert heard.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert heard.endswith(b"\r\n\r\ninternal error\n")


async def raising_late(scope, receive, send):
    await asgi.start(send, 200, [])
    await asgi.write(send, b"ok")
    raise ValueError("secret")


async def ending_short(scope, receive, send):
    await asgi.start(send, 200, [(b"content-length", b"5")])
    await asgi.write(send, b"ok")
    await asgi.finish(send)


async def running_over(scope, receive, send):
    await asgi.start(send, 200, [(b"content-length", b"5")])
    await asgi.write(send, b"ok")
    await asgi.write(send, b"too much")


async def aborting(scope, receive, send):
    await asgi.start(send, 200, [])
    await asgi.write(send, b"ok")
    asgi.abort(scope)


async def aborting_with_length(scope, receive, send):
    await asgi.start(send, 200, [(b"content-length", b"5")])
    await asgi.write(send, b"ok")
    asgi.abort(scope)
    await asgi.write(send, b"not sent")


@pytest.mark.parametrize("app", [raising_late, ending_short, running_over, aborting, aborting_with_length])
async def test_an_answer_that_is_cut_delivers_what_was_written_and_no_clean_end(app):
    heard = await ask(app, GET)
    assert b"ok" in heard
    assert heard.endswith((b"2\r\nok\r\n", b"\r\n\r\nok"))


async def test_a_cut_shows_even_where_only_the_connections_end_ends_a_body():
    async with serving(aborting) as served:
        caller = await served.caller()
        caller.say(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await caller.hear_out()
        caller.leave()


async def test_nothing_can_be_cut_once_the_answer_is_complete():
    async def app(scope, receive, send):
        await asgi.respond(send, 200, [], b"ok")
        asgi.abort(scope)

    async with serving(app) as served:
        caller = await served.caller()
        for _ in range(2):
            caller.say(GET)
            assert await caller.hear(b"ok") == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        caller.leave()


# Callers that leave, dawdle or overdo.


async def test_a_body_beyond_the_limit_is_refused_while_it_arrives():
    events = asyncio.Queue()
    async with serving(said_by(events, limit=100_000)) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 200_000)
        assert isinstance(await events.get(), BodyTooLarge)
        caller.leave()


async def test_a_whole_body_beyond_the_limit_is_refused():
    events = asyncio.Queue()
    async with serving(said_by(events, limit=2)) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc")
        assert isinstance(await events.get(), BodyTooLarge)
        caller.leave()


async def test_a_body_that_does_not_arrive_in_time_is_given_up():
    events = asyncio.Queue()
    async with serving(said_by(events, timeout=0.1)) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\na")
        assert isinstance(await events.get(), BodyTimeout)
        caller.leave()


@pytest.mark.parametrize("leave", [Caller.leave, lambda caller: caller.writer.write_eof()])
async def test_a_caller_that_leaves_in_its_body_is_gone(leave):
    events = asyncio.Queue()
    async with serving(said_by(events)) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\na")
        await asyncio.sleep(0.01)
        leave(caller)
        assert isinstance(await events.get(), CallerGone)
        caller.leave()


def waiting_for_nothing(events: asyncio.Queue, wait: Callable) -> asgi.ASGIApp:
    """An app whose upstream never answers; reports that it started and what ended it."""

    async def app(scope, receive, send):
        await asgi.read_body(receive, limit=100, timeout=60)
        events.put_nowait("started")
        try:
            await wait(receive)
        except BaseException as error:
            events.put_nowait(error)
            raise
        events.put_nowait("gone")

    return app


async def attending(receive):
    async with asgi.cancel_on_disconnect(receive):
        await asyncio.Event().wait()


async def watching(receive):
    await asgi.watch_disconnect(receive)


async def watching_through_middleware(receive):
    async def wrapped():
        return await receive()

    await asgi.watch_disconnect(wrapped)


@pytest.mark.parametrize("wait", [attending, watching, watching_through_middleware])
@pytest.mark.parametrize("leave", [Caller.leave, lambda caller: caller.writer.write_eof()])
async def test_an_app_learns_at_once_that_its_caller_has_left(wait, leave):
    events = asyncio.Queue()
    async with serving(waiting_for_nothing(events, wait)) as served:
        caller = await served.caller()
        caller.say(GET)
        assert await events.get() == "started"
        leave(caller)
        async with asyncio.timeout(10):
            assert str(await events.get()) in ("gone", "the caller hung up")
        caller.leave()


async def test_a_caller_that_leaves_is_noticed_even_behind_pipelined_requests():
    events = asyncio.Queue()
    async with serving(waiting_for_nothing(events, attending)) as served:
        caller = await served.caller()
        caller.say(GET * 5)
        assert await events.get() == "started"
        caller.leave()
        async with asyncio.timeout(10):
            assert isinstance(await events.get(), CallerGone)


async def test_an_attended_block_within_another_ends_without_it():
    async def app(scope, receive, send):
        async with asgi.cancel_on_disconnect(receive):
            async with asgi.cancel_on_disconnect(receive):
                pass
            await asyncio.sleep(0.01)
            await asgi.respond(send, 200, [], b"ok")

    assert (await ask(app, HANGING_UP)).endswith(b"ok")


async def test_an_attended_block_that_ends_first_is_left_alone():
    async def app(scope, receive, send):
        async with asgi.cancel_on_disconnect(receive):
            await asyncio.sleep(0)
        await asgi.respond(send, 200, [], b"ok")

    assert (await ask(app, HANGING_UP)).endswith(b"ok")


async def test_a_caller_that_does_not_read_holds_its_app_back_and_is_cut_in_the_end():
    written = []
    ended = asyncio.Event()

    async def app(scope, receive, send):
        await asgi.start(send, 200, [])
        gone = asgi.watch_disconnect(receive)
        while not gone.done():
            await asgi.write(send, b"x" * 100_000)
            written.append(100_000)
            await asyncio.sleep(0)
        ended.set()

    async with serving(app, limits=ServerLimits(stall_seconds=0.2)) as served, asyncio.timeout(30):
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", served.ports[0]))
        await asyncio.get_running_loop().sock_sendall(sock, GET)
        await ended.wait()
        assert sum(written) < 20_000_000
        sock.close()


async def test_a_body_that_its_app_does_not_take_is_not_read_into_memory():
    go_on = asyncio.Event()

    async def app(scope, receive, send):
        await go_on.wait()
        await asgi.respond(send, 200, [], b"%d" % len(await asgi.read_body(receive, limit=50_000_000, timeout=60)))

    async with serving(app) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 50000000\r\n\r\n" + b"x" * 50_000_000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await caller.writer.drain()
        go_on.set()
        assert (await caller.hear(b"50000000", within=60)).startswith(b"HTTP/1.1 200")
        caller.leave()


# The end.


async def test_a_stopped_server_finishes_what_it_has_begun_and_closes_the_rest():
    go_on, started = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        started.set()
        await go_on.wait()
        await asgi.respond(send, 200, [], b"ok")

    async with serving(app, drain_seconds=60) as served:
        idle, busy = await served.caller(), await served.caller()
        busy.say(GET)
        await started.wait()
        served.stop.set()
        assert await idle.hear_out() == b""
        with pytest.raises(ConnectionRefusedError):
            await served.caller()
        go_on.set()
        assert await busy.hear_out() == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
        async with asyncio.timeout(20):
            await served.task
        idle.leave()
        busy.leave()


async def test_a_stopped_server_still_takes_the_rest_of_a_body():
    events = asyncio.Queue()
    async with serving(said_by(events), drain_seconds=5) as served:
        caller = await served.caller()
        caller.say(b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        await caller.hear(b"\r\n\r\n")
        served.stop.set()
        await asyncio.sleep(0)
        caller.say(b"rest")
        assert await events.get() == b"rest"
        assert b"connection: close" in await caller.hear_out()
        caller.leave()


async def test_what_is_not_finished_in_time_is_cut_visibly_and_cancelled():
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await asgi.start(send, 200, [])
        await asgi.write(send, b"ok")
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(app, drain_seconds=0.1) as served:
        caller = await served.caller()
        caller.say(b"GET / HTTP/1.0\r\n\r\n")
        await started.wait()
        await caller.hear(b"ok")
        served.stop.set()
        with pytest.raises(ConnectionResetError):
            await caller.hear_out()
        await served.task
        assert cancelled.is_set()
        caller.leave()


async def test_an_app_that_is_still_settling_after_its_caller_left_is_waited_for():
    started, settled = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        started.set()
        await asgi.watch_disconnect(receive)
        await asyncio.sleep(0.1)
        settled.set()

    async with serving(app, drain_seconds=5) as served:
        caller = await served.caller()
        caller.say(GET)
        await started.wait()
        caller.leave()
        served.stop.set()
        await served.task
        assert settled.is_set()


async def test_a_port_in_use_is_an_error_and_leaves_no_listener_behind():
    async with serving(echo) as served:
        listeners = [ServedApp(echo, "127.0.0.1", 0), ServedApp(echo, "127.0.0.1", served.ports[0])]
        with pytest.raises(OSError, match="in use"):
            await serve(
                listeners, limits=ServerLimits(), stop=asyncio.Event(), drain_seconds=0, on_ready=lambda _: None
            )
