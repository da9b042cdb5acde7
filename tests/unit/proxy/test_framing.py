"""What a request looks like on the wire, and where a response ends."""

import pytest
from agenttype_proxy import framing
from agenttype_proxy.errors import InvalidRequest, InvalidResponse
from agenttype_proxy.framing import BodyEnd
from agenttype_proxy.messages import Origin, Request
from agenttype_proxy.request_head import acceptable

ORIGIN = Origin("http", "h", 8000)


def head_of(method: bytes = b"POST", target: bytes = b"/v1", headers=(), body: bytes = b"") -> bytes:
    return framing.request_head(ORIGIN, Request(method, target, list(headers), body))


def test_a_request_is_written_in_the_order_of_its_fields():
    assert head_of(headers=[(b"accept", b"*/*"), (b"x", b"1")], body=b"abc") == (
        b"POST /v1 HTTP/1.1\r\nhost: h:8000\r\naccept: */*\r\nx: 1\r\ncontent-length: 3\r\n\r\n"
    )


def test_the_framing_is_ours_whatever_the_fields_say():
    fields = [
        (b"host", b"evil"),
        (b"content-length", b"9"),
        (b"transfer-encoding", b"chunked"),
        (b"connection", b"x"),
        (b"expect", b"100-continue"),
    ]
    assert head_of(b"GET", headers=fields) == b"GET /v1 HTTP/1.1\r\nhost: h:8000\r\n\r\n"


def test_an_empty_post_says_that_it_is_empty():
    assert b"content-length: 0\r\n" in head_of()


@pytest.mark.parametrize(
    "broken",
    [
        {"headers": [(b"authorization", b"Bearer token\n")]},
        {"headers": [(b"a", b"b\r\nx: y")]},
        {"headers": [(b"a\r\nb", b"c")]},
        {"headers": [(b"a", b"\0")]},
        {"target": b"/a b"},
        {"target": b"/a\r\nx: y"},
        {"target": b"http://other/"},
        {"target": b""},
        {"target": b"/\xff"},
        {"method": b"GET /x"},
        {"method": b""},
    ],
)
def test_a_request_that_would_break_its_framing_is_never_written(broken):
    with pytest.raises(InvalidRequest) as raised:
        head_of(**broken)
    assert not raised.value.dispatched


@pytest.mark.parametrize(
    ("method", "status", "headers", "end"),
    [
        (b"GET", 200, [(b"content-length", b"3")], BodyEnd.PARSER),
        (b"GET", 200, [(b"transfer-encoding", b"Chunked")], BodyEnd.PARSER),
        (b"GET", 200, [], BodyEnd.CLOSE),
        (b"HEAD", 200, [(b"content-length", b"3")], BodyEnd.HEAD),
        (b"HEAD", 200, [(b"transfer-encoding", b"chunked")], BodyEnd.HEAD),
        (b"GET", 204, [], BodyEnd.HEAD),
        (b"GET", 304, [(b"content-length", b"3")], BodyEnd.HEAD),
    ],
)
def test_a_response_has_one_end(method, status, headers, end):
    assert framing.body_end(method, status, headers) is end


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"identity", b""])
def test_a_transfer_encoding_that_is_not_chunked_is_refused(coding):
    with pytest.raises(InvalidResponse):
        framing.body_end(b"GET", 200, [(b"transfer-encoding", coding)])


HOST = (b"host", b"h")


@pytest.mark.parametrize(
    ("method", "target", "version", "headers"),
    [
        (b"GET", b"/v1/models?a=b%20c", "1.1", [HOST]),
        (b"POST", b"/", "1.1", [HOST, (b"transfer-encoding", b"chunked")]),
        (b"GET", b"/", "1.0", []),
        (b"OPTIONS", b"/", "1.1", [HOST]),
    ],
)
def test_a_plain_request_head_is_accepted(method, target, version, headers):
    assert acceptable(method, target, version, headers)


@pytest.mark.parametrize(
    ("method", "target", "version", "headers"),
    [
        (b"CONNECT", b"h:80", "1.1", [HOST]),
        (b"GET", b"http://h/", "1.1", [HOST]),
        (b"GET", b"h:80", "1.1", [HOST]),
        (b"OPTIONS", b"*", "1.1", [HOST]),
        (b"GET", b"/#x", "1.1", [HOST]),
        (b"GET", b"/\x80", "1.1", [HOST]),
        (b"GET", b"", "1.1", [HOST]),
        (b"GET", b"/", "0.9", [HOST]),
        (b"GET", b"/", "2.0", [HOST]),
        (b"GET", b"/", "1.1", []),
        (b"GET", b"/", "1.1", [HOST, HOST]),
        (b"GET", b"/", "1.0", [HOST, HOST]),
        (b"POST", b"/", "1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")]),
        (b"POST", b"/", "1.1", [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")]),
        (b"POST", b"/", "1.0", [HOST, (b"transfer-encoding", b"chunked")]),
    ],
)
def test_a_request_head_that_two_servers_could_read_differently_is_refused(method, target, version, headers):
    assert not acceptable(method, target, version, headers)
