"""The pooled client against an upstream that says exactly what a test wants it to say."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator

import pytest
from agenttype_proxy.client import Client, ClientLimits
from agenttype_proxy.errors import (
    ConnectFailed,
    ConnectTimeout,
    FirstByteTimeout,
    IdleTimeout,
    InvalidRequest,
    InvalidResponse,
    ResponseTooLarge,
    TotalTimeout,
    UpstreamReset,
)
from agenttype_proxy.messages import Deadlines, Origin, Request
from agenttype_proxy.response import Response
from support.servers.scripted_upstream import Await, Close, Reset, Say, ScriptedUpstream, TakeRequest, Wait, scripted

PATIENT = Deadlines(connect=30, first_byte=30, idle=30, total=None)
OK = Say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
ANSWERS = [TakeRequest(), OK] * 20
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client()
    yield client
    await client.close()


def a_request(method: bytes = b"GET", body: bytes = b"", **headers: bytes) -> Request:
    return Request(method, b"/v1/x", [(name.encode(), value) for name, value in headers.items()], body)


async def send(
    client: Client, upstream: ScriptedUpstream, request: Request | None = None, deadlines: Deadlines = PATIENT
) -> Response:
    return await client.send(Origin("http", "127.0.0.1", upstream.port), request or a_request(), deadlines)


async def body_of(client: Client, upstream: ScriptedUpstream, request: Request | None = None) -> bytes:
    async with await send(client, upstream, request) as response:
        return await response.read(1_000_000)


# What a response is.


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (STREAM + b"2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nTrailer: x\r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx",
            b"x",
        ),
    ],
)
async def test_a_framed_response_is_read_and_its_connection_lent_again(client, said, body):
    async with scripted([TakeRequest(), Say(said), TakeRequest(), OK]) as upstream:
        assert await body_of(client, upstream) == body
        assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 1


async def test_a_response_without_length_lasts_until_its_connection_ends(client):
    async with scripted([TakeRequest(), Say(b"HTTP/1.1 200 OK\r\n\r\nhello"), Close()], ANSWERS) as upstream:
        assert await body_of(client, upstream) == b"hello"
        assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 2


async def test_a_response_without_length_that_ends_in_a_reset_is_not_whole(client):
    async with scripted([TakeRequest(), Say(b"HTTP/1.1 200 OK\r\n\r\nhello"), Wait(0.05), Reset()]) as upstream:
        with pytest.raises(UpstreamReset):
            await body_of(client, upstream)


async def test_a_head_request_has_no_body_whatever_length_is_announced(client):
    said = Say(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
    async with scripted([TakeRequest(), said, TakeRequest(), OK]) as upstream:
        assert await body_of(client, upstream, a_request(b"HEAD")) == b""
        assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 1


async def test_the_request_arrives_as_it_was_composed(client):
    async with scripted(ANSWERS) as upstream:
        await body_of(client, upstream, a_request(b"POST", b'{"a": 1}', authorization=b"Bearer t"))
        host = b"127.0.0.1:%d" % upstream.port
        assert upstream.requests == [
            b"POST /v1/x HTTP/1.1\r\nhost: "
            + host
            + b"\r\nauthorization: Bearer t\r\ncontent-length: 8\r\n\r\n"
            + b'{"a": 1}'
        ]


async def test_status_and_headers_come_as_they_were_said(client):
    said = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 3\r\nContent-Encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b"
    async with scripted([TakeRequest(), Say(said)]) as upstream, await send(client, upstream) as response:
        assert response.status == 429
        assert response.headers == [(b"retry-after", b"3"), (b"content-encoding", b"gzip"), (b"content-length", b"2")]
        assert await response.read(100) == b"\x1f\x8b"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \x00\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : b\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 103 Early\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 17,
        b"<html>not http</html>",
        b"\x00\x00\x06\x04\x00\x00\x00\x00\x00",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
)
async def test_bytes_that_are_no_unambiguous_response_are_refused(client, said):
    async with scripted([TakeRequest(), Say(said)]) as upstream:
        with pytest.raises(InvalidResponse) as raised:
            await send(client, upstream)
        assert raised.value.dispatched
        await upstream.departed()


@pytest.mark.parametrize("said", [b"zz\r\n", b"-2\r\nab\r\n", b"ffffffffffffffffff\r\n", b"2\r\nabc\r\n", b"2\nab\r\n"])
async def test_garbage_in_the_chunk_framing_is_refused_after_what_was_sound(client, said):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n"), Wait(0.05), Say(said)]) as upstream:
        response = await send(client, upstream)
        chunks = response.chunks()
        assert await anext(chunks) == b"ok"
        with pytest.raises(InvalidResponse):
            assert [chunk async for chunk in chunks] in ([], [b"ab"])
        await upstream.departed()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"x" * 5000,
        b"HTTP/1.1 200 " + b"x" * 5000,
        STREAM + b"1;" + b"x" * 1_000_000,
        STREAM + b"0\r\na: " + b"x" * 1_000_000,
        STREAM + b"0\r\n" + b"a: b\r\n" * 1000,
    ],
)
async def test_a_head_or_framing_beyond_its_limit_is_refused(said):
    client = Client(ClientLimits(head_bytes=4096, head_fields=16))
    async with scripted([TakeRequest(), Say(said)]) as upstream:
        with pytest.raises(ResponseTooLarge):
            await body_of(client, upstream)
        await upstream.departed()
    await client.close()


async def test_a_body_beyond_what_its_reader_allows_is_refused(client):
    async with scripted([TakeRequest(), Say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000)]) as upstream:
        async with await send(client, upstream) as response:
            with pytest.raises(ResponseTooLarge):
                await response.read(100_000)
        await upstream.departed()


async def test_a_million_chunks_of_one_byte_are_read_as_few(client):
    said = STREAM + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"
    async with scripted([TakeRequest(), Say(said)]) as upstream, await send(client, upstream) as response:
        chunks = [chunk async for chunk in response.chunks()]
        assert sum(map(len, chunks)) == 100_000
        assert len(chunks) < 100


# Time.


async def test_chunks_are_given_out_as_they_arrive(client):
    said, taken = asyncio.Event(), asyncio.Event()
    script = [
        TakeRequest(),
        Say(STREAM + b"3\r\none\r\n"),
        Await(taken),
        Say(b"3\r\ntwo\r\n"),
        Await(said),
        Say(b"0\r\n\r\n"),
    ]
    async with scripted(script) as upstream, asyncio.timeout(30), await send(client, upstream) as response:
        chunks = response.chunks()
        assert await anext(chunks) == b"one"
        taken.set()
        assert await anext(chunks) == b"two"
        said.set()
        assert [chunk async for chunk in chunks] == []


async def test_the_head_is_given_out_before_any_body_byte_arrives(client):
    script = [TakeRequest(), Say(STREAM)]
    async with scripted(script) as upstream, asyncio.timeout(30), await send(client, upstream) as response:
        assert response.status == 200


async def test_an_upstream_that_refuses_connections_was_not_dispatched_to(client):
    async with scripted(ANSWERS) as upstream:
        pass
    with pytest.raises(ConnectFailed) as raised:
        await send(client, upstream)
    assert not raised.value.dispatched


async def test_a_host_that_does_not_resolve_was_not_dispatched_to(client):
    with pytest.raises(ConnectFailed):
        await client.send(Origin("http", "nowhere.invalid", 80), a_request(), PATIENT)


async def test_a_silent_upstream_is_left_at_the_first_byte_deadline(client):
    async with scripted([TakeRequest()]) as upstream:
        with pytest.raises(FirstByteTimeout) as raised:
            await send(client, upstream, deadlines=Deadlines(5, 0.1, 5, None))
        assert raised.value.dispatched
        await upstream.departed()


async def test_a_dripping_head_does_not_extend_the_first_byte_deadline(client):
    drip = [step for _ in range(1000) for step in (Say(b"x"), Wait(0.02))]
    async with scripted([TakeRequest(), Say(b"HTTP/1.1 200 OK\r\na: "), *drip]) as upstream, asyncio.timeout(15):
        with pytest.raises(FirstByteTimeout):
            await send(client, upstream, deadlines=Deadlines(5, 0.2, 5, None))


async def test_a_stalled_stream_is_left_at_the_idle_deadline(client):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n")]) as upstream:
        response = await send(client, upstream, deadlines=Deadlines(5, 5, 0.1, None))
        chunks = response.chunks()
        assert await anext(chunks) == b"ok"
        with pytest.raises(IdleTimeout):
            await anext(chunks)
        await upstream.departed()


async def test_a_slow_reader_is_not_the_upstreams_silence(client):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n"), Wait(0.8), Say(b"0\r\n\r\n")]) as upstream:
        response = await send(client, upstream, deadlines=Deadlines(5, 5, 0.6, None))
        chunks = response.chunks()
        assert await anext(chunks) == b"ok"
        await asyncio.sleep(0.7)
        assert [chunk async for chunk in chunks] == []


@pytest.mark.parametrize("script", [[], [Say(b"HTTP/1.1 200 OK\r\n\r\n"), *[Say(b"x"), Wait(0.02)] * 1000]])
async def test_a_call_is_left_when_its_time_is_used_up(client, script):
    async with scripted([TakeRequest(), *script]) as upstream, asyncio.timeout(15):
        with pytest.raises(TotalTimeout):
            async with await send(client, upstream, deadlines=Deadlines(5, 5, 5, 0.2)) as response:
                await response.read(1000)
        await upstream.departed()


async def test_the_total_deadline_holds_while_nobody_reads(client):
    script, deadlines = [TakeRequest(), Say(STREAM + b"2\r\nok\r\n")], Deadlines(5, 5, 5, 0.5)
    async with scripted(script) as upstream, await send(client, upstream, deadlines=deadlines):
        await upstream.departed()


# Who gets which connection.


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok?",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nevil",
        STREAM + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
    ],
)
async def test_a_connection_that_may_hold_other_bytes_is_not_lent_again(client, said):
    async with scripted([TakeRequest(), Say(said)], ANSWERS) as upstream:
        assert await body_of(client, upstream) in (b"ok", b"")
        await upstream.departed()
        assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 2


async def test_a_response_that_nobody_asked_for_reaches_nobody(client):
    evil = Say(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    async with scripted([TakeRequest(), OK, Wait(0.02), evil], ANSWERS) as upstream:
        assert await body_of(client, upstream) == b"ok"
        await upstream.departed()
        assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 2


async def test_a_connection_closed_by_its_peer_is_seen_before_a_post_is_written_to_it(client):
    closed = asyncio.Event()
    async with scripted([TakeRequest(), OK, Await(closed), Close()], ANSWERS) as upstream:
        assert await body_of(client, upstream, a_request(b"POST", b"1")) == b"ok"
        closed.set()
        await upstream.departed()
        assert await body_of(client, upstream, a_request(b"POST", b"2")) == b"ok"
        assert upstream.connections == 2


async def test_a_get_that_met_a_closing_connection_is_sent_once_more(client):
    async with scripted([TakeRequest(), OK, TakeRequest(), Close()], ANSWERS) as upstream:
        assert await body_of(client, upstream) == b"ok"
        assert await body_of(client, upstream) == b"ok"
        assert len(upstream.requests) == 3


async def test_a_post_that_may_have_been_processed_is_not_sent_again(client):
    async with scripted([TakeRequest(), OK, TakeRequest(), Close()], ANSWERS) as upstream:
        assert await body_of(client, upstream) == b"ok"
        with pytest.raises(UpstreamReset) as raised:
            await send(client, upstream, a_request(b"POST", b"pay"))
        assert raised.value.dispatched
        assert len(upstream.requests) == 2


async def test_a_get_that_got_a_single_byte_is_not_sent_again(client):
    async with scripted([TakeRequest(), OK, TakeRequest(), Say(b"H"), Close()], ANSWERS) as upstream:
        assert await body_of(client, upstream) == b"ok"
        with pytest.raises(UpstreamReset):
            await send(client, upstream)
        assert len(upstream.requests) == 2


async def test_a_get_on_a_fresh_connection_is_not_sent_again(client):
    async with scripted([TakeRequest(), Close()], ANSWERS) as upstream:
        with pytest.raises(UpstreamReset):
            await send(client, upstream)
        assert len(upstream.requests) == 1


@pytest.mark.parametrize("end", [Close(), Reset()])
async def test_a_response_cut_short_gives_what_arrived_and_then_fails(client, end):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n"), Wait(0.05), end]) as upstream:
        response = await send(client, upstream)
        chunks = response.chunks()
        assert await anext(chunks) == b"ok"
        with pytest.raises(UpstreamReset):
            await anext(chunks)


@pytest.mark.parametrize("said", [STREAM + b"2\r\nok\r\n0\r\na: b\r\n\r\n", OK.data])
async def test_a_response_cut_at_any_byte_is_never_taken_for_a_whole_one(client, said):
    cuts = [[TakeRequest(), Say(said[:size]), Close()] for size in range(len(said))]
    async with scripted(*cuts, ANSWERS) as upstream:
        for _ in cuts:
            with pytest.raises(UpstreamReset):
                await body_of(client, upstream)
        assert await body_of(client, upstream) == b"ok"


@pytest.mark.parametrize("said", [STREAM + b"2\r\nok\r\n0\r\na: b\r\n\r\n", OK.data])
async def test_a_response_split_at_any_byte_is_the_same_response(client, said):
    splits = [(Say(said[:size]), Wait(0.001), Say(said[size:])) for size in range(1, len(said))]
    async with scripted([step for split in splits for step in (TakeRequest(), *split)]) as upstream:
        for _ in splits:
            assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 1


async def test_an_answer_that_overtakes_its_request_costs_the_connection(client):
    script = [Say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")]
    async with scripted(script, ANSWERS) as upstream:
        async with await send(client, upstream, a_request(b"POST", b"x" * 20_000_000)) as response:
            assert response.status == 413
        assert await body_of(client, upstream) == b"ok"
        assert upstream.connections == 2


async def test_an_idle_connection_is_closed_before_its_peer_would():
    client = Client(ClientLimits(idle_seconds=0.05))
    async with scripted(ANSWERS) as upstream:
        assert await body_of(client, upstream) == b"ok"
        await upstream.departed()
    await client.close()


async def test_calls_beyond_the_limit_wait_their_turn_and_share_the_connection():
    client = Client(ClientLimits(connections=1))
    async with scripted(ANSWERS) as upstream:
        assert await asyncio.gather(*(body_of(client, upstream) for _ in range(10))) == [b"ok"] * 10
        assert upstream.connections == 1
    await client.close()


async def test_a_call_that_finds_no_free_connection_in_time_was_not_dispatched():
    client = Client(ClientLimits(connections=1))
    async with scripted([TakeRequest(), Say(STREAM)]) as upstream, await send(client, upstream):
        with pytest.raises(ConnectTimeout) as raised:
            await send(client, upstream, deadlines=Deadlines(0.05, 5, 5, None))
        assert not raised.value.dispatched
    await client.close()


async def test_a_cancelled_wait_for_a_connection_gives_its_place_up():
    client = Client(ClientLimits(connections=1))
    async with scripted([TakeRequest(), Say(STREAM)], ANSWERS) as upstream:
        async with await send(client, upstream):
            waiting = asyncio.create_task(body_of(client, upstream))
            await asyncio.sleep(0)
            waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await body_of(client, upstream) == b"ok"
    await client.close()


async def test_a_failed_connection_gives_its_place_up():
    client = Client(ClientLimits(connections=1))
    async with scripted(ANSWERS) as upstream:
        pass
    for _ in range(3):
        with pytest.raises(ConnectFailed):
            await send(client, upstream)
    await client.close()


# Leaving.


async def test_cancelling_a_call_that_waits_for_its_head_hangs_up_at_once(client):
    async with scripted([TakeRequest()]) as upstream:
        call = asyncio.create_task(send(client, upstream))
        await upstream.asked(1)
        call.cancel()
        await upstream.departed()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_cancelling_a_call_that_waits_for_a_chunk_hangs_up_at_once(client):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n")]) as upstream:
        response = await send(client, upstream)
        chunks = response.chunks()
        assert await anext(chunks) == b"ok"
        waiting = asyncio.ensure_future(anext(chunks))
        await asyncio.sleep(0)
        waiting.cancel()
        await upstream.departed()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_leaving_a_response_before_its_end_hangs_up_at_once(client):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n")]) as upstream:
        async with await send(client, upstream):
            pass
        await upstream.departed()


async def test_an_aborted_response_hangs_up_at_once_and_reads_as_reset(client):
    async with scripted([TakeRequest(), Say(STREAM + b"2\r\nok\r\n")]) as upstream:
        response = await send(client, upstream)
        response.abort()
        await upstream.departed()
        with pytest.raises(UpstreamReset):
            await anext(response.chunks())


async def test_a_slow_reader_holds_the_upstream_back(client):
    size = 50_000_000
    script = [TakeRequest(), Say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size), Say(b"x" * size)]
    async with scripted(script) as upstream, await send(client, upstream) as response:
        chunks = response.chunks()
        taken = len(await anext(chunks))
        await upstream.stuck()
        assert upstream.said < size / 2
        taken += sum([len(chunk) async for chunk in chunks])
        assert taken == size


async def test_closing_the_client_fails_running_calls_and_refuses_new_ones(client):
    async with scripted([TakeRequest(), Say(STREAM)]) as upstream:
        response = await send(client, upstream)
        await client.close()
        with pytest.raises(UpstreamReset):
            await response.read(100)
        with pytest.raises(ConnectFailed):
            await send(client, upstream)
        await upstream.departed()


async def test_a_request_that_would_break_the_framing_is_not_sent(client):
    async with scripted(ANSWERS) as upstream:
        with pytest.raises(InvalidRequest):
            await send(client, upstream, a_request(authorization=b"Bearer token\n"))
        assert upstream.connections == 0


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost: (certificate file, key file)."""
    openssl = shutil.which("openssl")
    assert openssl, "this test makes a certificate with openssl: apt-get install openssl"
    folder = tmp_path_factory.mktemp("tls")
    names = folder / "cert.pem", folder / "key.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", names[1], "-out", names[0]]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1"]
    subprocess.run([openssl, "req", "-x509", *key, *subject], check=True, capture_output=True)
    return names


@pytest.fixture
def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_a_tls_upstream_that_is_trusted_is_spoken_to_and_its_connection_lent_again(certificate, tls_server):
    client = Client(tls=ssl.create_default_context(cafile=certificate[0]))
    async with scripted(ANSWERS, tls=tls_server) as upstream:
        for _ in range(3):
            async with await client.send(Origin("https", "localhost", upstream.port), a_request(), PATIENT) as response:
                assert await response.read(10) == b"ok"
        assert upstream.connections == 1
        await client.close()


async def test_a_tls_upstream_that_is_not_trusted_gets_no_request(client, tls_server):
    async with scripted(ANSWERS, tls=tls_server) as upstream:
        with pytest.raises(ConnectFailed):
            await client.send(Origin("https", "localhost", upstream.port), a_request(), PATIENT)
        assert upstream.requests == []


async def test_a_tls_upstream_of_another_name_gets_no_request(certificate, tls_server):
    client = Client(tls=ssl.create_default_context(cafile=certificate[0]))
    async with scripted(ANSWERS, tls=tls_server) as upstream:
        with pytest.raises(ConnectFailed):
            await client.send(Origin("https", "127.0.0.1", upstream.port), a_request(), PATIENT)
        assert upstream.requests == []
    await client.close()
