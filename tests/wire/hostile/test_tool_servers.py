"""Tool servers that show what they should not, and paths that lead elsewhere than they say."""

import json

import pytest
from agenttype_api import policy as api
from agenttype_api.policy import HttpRoute, ToolProtocol
from support.callers.raw_caller import converse
from support.hostile.cases import MARK, post
from support.hostile.heads import MISLEADING
from support.hostile.payloads import message
from support.hostile.policies import a_full_policy
from support.programs.sidecars import sidecar
from support.servers.recording_upstream import chunked, whole
from support.servers.scripted_upstream import Close, Reset, Say, Wait

QUICK = {"first_byte_ms": 1500, "idle_ms": 1500}
HIDDEN = b"delete_norm"


@pytest.fixture(scope="module")
def car(upstream):
    methods = tuple(api.HttpMethod(name) for name in ("GET", "POST"))
    tools = (
        api.Tool(name="crm", url=f"{upstream.url}/mcp", allow=("lookup_norm",)),
        api.Tool(
            name="api",
            protocol=ToolProtocol.HTTP,
            url=f"{upstream.url}/base",
            routes=(HttpRoute(methods=methods, path="/v1/items/*"),),
        ),
    )
    with sidecar(policy=a_full_policy(upstream.url, tools=tools, timeouts=QUICK)) as running:
        yield running
        assert "Traceback" not in running.log


OUTSIDE = [
    "", "/", "/v1", "/v1/items", "/v2/items/1", "/v1/admin", "/V1/items/1", "/v1/items/../admin", "/v1/items/./1",
    "/v1/items/..", "/v1/items/.", "/v1/items/%2e%2e/admin", "/v1/items/%2E%2e/admin", "/v1/items/.%2e/admin",
    "/v1/items/..%2fadmin", "/v1/items/%2e%2e%2fadmin", "/v1/items/%252e%252e/admin", "/v1/items/..%252fadmin",
    "/v1/items/..%5cadmin", "/v1/items/..\\admin", "/v1/items/1%2f2", "/v1/items//1", "//v1/items/1",
    "/v1/items/..;/admin", "/v1/items/1;a=b", "/v1/items;/1", "/v1/items/%3b", "/v1/items/1%00", "/v1/items/1%0a",
    "/v1/items/1%0d%0aHost:x", "/v1/items/%c0%ae%c0%ae/admin", "/v1/items/%e0%80%ae",
    "/v1/items/%ff", "/v1/items/%ed%a0%80", "/v1/items/%", "/v1/items/%1", "/v1/items/%zz", "/v1/items/%u002e",
    "/v1/items/%ef%bc%8e%ef%bc%8e/admin", "/v1/items/%e2%80%a5/admin", "/v1/items/%ef%bc%8fadmin", "/v1/items/1%3fx",
    "/v1/items/1%23x", "/%76%31/items/1", "/v1/items/%41", "/v1/items/1%7f", "/../v1/items/1", "/v1/../v1/items/1",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
async def test_a_path_that_could_lead_elsewhere_reaches_no_api(car, upstream, path):
    upstream.forget()
    line = f"POST /tools/api{path} HTTP/1.1".encode()
    (answer,) = (await converse(car.data_port, post(b"connection: close", line=line))).answers
    assert 400 <= answer.status < 500
    assert MARK not in answer.body
    assert (upstream.arrivals, upstream.noise) == ([], [])


@pytest.mark.parametrize(
    "line", [b"PUT /tools/api/v1/items/1", b"DELETE /tools/api/v1/items/1", b"GET /tools/api/v1/items/1"]
)
async def test_a_method_that_is_not_allowed_or_a_get_with_a_body_reaches_no_api(car, upstream, line):
    upstream.forget()
    (answer,) = (await converse(car.data_port, post(b"connection: close", line=line + b" HTTP/1.1"))).answers
    assert 400 <= answer.status < 500
    assert (upstream.arrivals, upstream.noise) == ([], [])


@pytest.mark.parametrize("name", [name.decode() for name in MISLEADING])
def test_a_header_that_means_another_request_does_not_go_to_an_api(car, upstream, name):
    upstream.forget()
    assert car.post("/tools/api/v1/items/1", {}, {name: "/v1/admin"}).status == 200
    assert [arrival.target for arrival in upstream.arrivals] == [b"/base/v1/items/1"]
    assert upstream.arrivals[0].all(name.encode()) == []


TOOLS = '"tools":[{"name":"delete_norm"},{"name":"lookup_norm"}]'
LISTED = message(f'"id":7,"result":{{{TOOLS}}}')
SPLIT = b'data: {"jsonrpc":"2.0","id":7,\ndata: "result":{"tools":[{"name":\ndata: "delete_norm"}]}}\n\n'


def stream(*parts: bytes) -> bytes:
    return chunked(*parts)


def lines(end: bytes) -> bytes:
    return end.join((b"event: message", b"id: 1", b"data: " + LISTED, b"", b""))


LISTINGS = [
    ("plain", [Say(whole(LISTED))]),
    ("as text", [Say(whole(LISTED, kind=b"text/plain"))]),
    ("without a type", [Say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(LISTED) + LISTED)]),
    ("one byte at a time", [Say(chunked(*[b"%c" % byte for byte in LISTED], kind=b"application/json"))]),
    ("with the name escaped", [Say(whole(LISTED.replace(b'"tools"', b'"t\\u006fols"')))]),
    ("with an escaped tool", [Say(whole(LISTED.replace(b"delete_norm", b"\\u0064elete_norm")))]),
    ("in a batch", [Say(whole(b"[" + LISTED + b"," + LISTED + b"]"))]),
    ("with two results", [Say(whole(message(f'"id":7,"result":{{}},"result":{{{TOOLS}}}')))]),
    ("with two lists", [Say(whole(message(f'"id":7,"result":{{"tools":[],{TOOLS}}}')))]),
    ("behind a byte order mark", [Say(whole(b"\xef\xbb\xbf" + LISTED))]),
    ("that is cut", [Say(whole(LISTED[:-1]))]),
    ("that is followed by another", [Say(whole(LISTED + LISTED))]),
    ("as an error", [Say(whole(LISTED, status=b"500 Oops"))]),
    ("behind a redirection", [Say(whole(LISTED, b"location: http://169.254.169.254/", status=b"307 Elsewhere"))]),
    ("compressed", [Say(whole(LISTED, b"content-encoding: gzip"))]),
    ("in UTF-16 without a mark", [Say(whole(LISTED.decode().encode("utf-16-be")))]),
    ("in UTF-32", [Say(whole(LISTED.decode().encode("utf-32")))]),
    ("with the result in capitals", [Say(whole(LISTED.replace(b"result", b"Result")))]),
    ("with the tools in capitals", [Say(whole(LISTED.replace(b'"tools"', b'"TOOLS"')))]),
    ("with a long s", [Say(whole(LISTED.replace(b'"tools"', '"tool\u017f"'.encode())))]),
    ("with a long s that is escaped", [Say(whole(LISTED.replace(b'"result"', b'"re\\u017fult"')))]),
    ("with a second list in capitals", [Say(whole(message(f'"id":7,"result":{{"tools":[],"Tools":[{TOOLS[9:]}}}')))]),
    ("among a million empty objects", [Say(whole(LISTED[:-1] + b',"x":[' + b"{}," * 1_000_000 + b"{}]}"))]),
    ("in UTF-16", [Say(whole(LISTED.decode().encode("utf-16"), kind=b"application/json; charset=utf-16"))]),
    ("in a stream", [Say(stream(lines(b"\n")))]),
    ("in a stream with CR LF", [Say(stream(lines(b"\r\n")))]),
    ("in a stream with CR", [Say(stream(lines(b"\r")))]),
    ("in a stream without an end", [Say(stream(lines(b"\n")[:-2]))]),
    ("in a stream, one byte a chunk", [Say(stream(*[b"%c" % byte for byte in lines(b"\n")]))]),
    ("in a stream behind a mark", [Say(stream(b"\xef\xbb\xbf" + lines(b"\n")))]),
    ("in a stream on several lines", [Say(stream(SPLIT))]),
    ("in a stream on several lines with CR", [Say(stream(SPLIT.replace(b"\n", b"\r")))]),
    ("in a stream without a blank", [Say(stream(lines(b"\n").replace(b": ", b":")))]),
    ("in a stream, twice", [Say(stream(lines(b"\n"), lines(b"\r\n")))]),
    ("in a stream with an empty data line", [Say(stream(b"data\n" + lines(b"\n")))]),
    ("in a stream that breaks off", [Say(stream(lines(b"\n"))[:-5]), Wait(0.05), Reset()]),
    ("in a stream that falls silent", [Say(stream(lines(b"\n"))[:-5]), Wait(1.2)]),
    ("without an end", [Say(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + LISTED), Close()]),
]  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in LISTINGS])
async def test_no_list_of_a_hostile_server_shows_what_is_not_allowed(car, upstream, case):
    _, script = case
    upstream.forget()
    upstream.answers(script)
    said = post(
        b"connection: close",
        b"accept: application/json, text/event-stream",
        body=message('"id":7,"method":"tools/list"'),
        line=b"POST /mcp/crm HTTP/1.1",
    )
    heard = await converse(car.data_port, said, within=30)
    assert heard.ended != "open"
    (answer,) = heard.answers
    assert HIDDEN not in answer.body
    assert b"\\u0064elete" not in answer.body
    assert HIDDEN.decode() not in answer.body.decode(json.detect_encoding(answer.body), errors="replace")
    assert b"169.254" not in b"".join(answer.fields.values())
    assert len(upstream.arrivals) == 1
