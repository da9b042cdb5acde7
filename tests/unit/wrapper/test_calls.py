"""What a call to the sidecar carries, and which calls are calls to the sidecar."""

import re

import pytest
from agenttype_wrapper.payload.python._agenttype_wrapper import calls, sidecar, state

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://127.0.0.1:15001", "127.0.0.1", 15001),
        ("http://127.0.0.1:15001/v1", "localhost", 15001),
        ("http://[::1]:15001", "::1", 15001),
        ("http://sidecar", "sidecar", 80),
        ("https://sidecar/", "sidecar", 443),
    ],
)
def test_a_call_to_the_sidecars_address_is_one(url, host, port):
    assert sidecar.Sidecar(url).listens_at(host, port)


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 15002), ("127.0.0.2", 15001), ("api.openai.com", 443), ("127.0.0.1.example.org", 15001)],
)
def test_a_call_to_any_other_address_is_none(host, port):
    assert not sidecar.Sidecar("http://127.0.0.1:15001").listens_at(host, port)


@pytest.mark.parametrize("url", ["127.0.0.1:15001", "ftp://127.0.0.1", "http://127.0.0.1:port", ""])
def test_what_is_no_http_url_is_refused(url):
    with pytest.raises(ValueError, match=r"not an http URL|invalid literal"):
        sidecar.Sidecar(url)


def test_every_call_has_a_trace_of_its_own_and_the_process_it_comes_from(a_process):
    first, second = a_process.headers(()), a_process.headers(())
    assert TRACEPARENT.fullmatch(first["traceparent"])
    assert first["traceparent"] != second["traceparent"]
    assert first["x-agenttype-process"] == second["x-agenttype-process"]


def test_a_header_that_the_caller_set_stays_the_callers(a_process):
    assert set(a_process.headers({"traceparent", "accept"})) == {"x-agenttype-process", "x-agenttype-wrapper"}


def test_a_part_that_fails_during_a_call_is_told_with_the_next_call(a_process):
    a_process.attempt("a_hook", {}.__getitem__, "missing")
    assert a_process.headers(())["x-agenttype-wrapper"] == "degraded;a_hook:KeyError"


@pytest.fixture
def a_process():
    return calls.Calls("http://127.0.0.1:15001", state.State({}, ""))
