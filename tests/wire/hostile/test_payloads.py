"""Bodies that no honest client sends: refused in the caller's protocol, or forwarded so that all read the same."""

import json
from typing import Any

import pytest
from agenttype_api import policy as api
from support.hostile import payloads
from support.hostile.cases import MARK
from support.hostile.policies import a_full_policy
from support.programs.sidecars import a_policy, a_route, call, sidecar

CHAT, COMPLETIONS, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"
PLENTY = 10**12


@pytest.fixture(scope="module")
def car(upstream):
    tools = (api.Tool(name="crm", url=f"{upstream.url}/mcp", allow=("lookup_norm",)),)
    routes = (a_route("gpt-4o", "claude-5"),)
    with sidecar(policy=a_full_policy(upstream.url, PLENTY, tools=tools, routes=routes)) as running:
        yield running
        assert running.held() == 0
        assert "Traceback" not in running.log


def named(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in cases])


def twins(body: bytes) -> list[tuple[str, str]]:
    """The members of an object with the exact text of each value, by a reader that is not ours."""
    text = body.decode()
    scan, at, found = json.JSONDecoder().raw_decode, text.index("{") + 1, []
    while text[at:].strip(" \t\r\n,")[0] == '"':
        name, at = scan(text, text.index('"', at))
        begin = text.index(":", at) + 1
        begin += len(text[begin:]) - len(text[begin:].lstrip(" \t\r\n"))
        _, at = scan(text, begin)
        found.append((name, text[begin:at]))
    return found


def strictly(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), "a member twice reached the upstream"
    return dict(pairs)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS])
@named([*payloads.BROKEN, *payloads.BROKEN_OPENAI])
def test_what_could_be_misread_is_refused_in_openais_words(car, upstream, path, case):
    refused_in_openais_words(car, upstream, path, case)


@named(payloads.BROKEN_CHATS)
def test_a_chat_that_could_be_misread_is_refused_too(car, upstream, case):
    refused_in_openais_words(car, upstream, CHAT, case)


def refused_in_openais_words(car, upstream, path, case):
    upstream.forget()
    answer = car.post(path, case.body)
    assert answer.status == case.status
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert MARK not in answer.body
    assert (upstream.arrivals, upstream.noise) == ([], [])


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/embeddings"])
@named([case for case in payloads.BROKEN if "max_tokens" not in case.name])
def test_what_could_be_misread_is_refused_on_every_path(car, upstream, path, case):
    refused_in_openais_words(car, upstream, path, case)


@named(payloads.BROKEN)
def test_what_could_be_misread_is_refused_in_anthropics_words(car, upstream, case):
    upstream.forget()
    answer = car.post(MESSAGES, case.body)
    assert answer.status == case.status
    assert (answer.json["type"], set(answer.json["error"])) == ("error", {"type", "message"})
    assert MARK not in answer.body
    assert (upstream.arrivals, upstream.noise) == ([], [])


@named(payloads.PASSING)
def test_what_is_forwarded_reads_the_same_for_all(car, upstream, case):
    upstream.forget()
    assert car.post(CHAT, case.body).status == 200
    (arrival,) = upstream.arrivals
    arrived = json.loads(arrival.body, object_pairs_hook=strictly)
    assert {name: arrived[name] for name in case.owned} == {
        name: arrived[name] if value is None else value for name, value in case.owned.items()
    }
    assert arrived.get("max_tokens", 0) >= 0
    others = [(name, text) for name, text in twins(arrival.body) if name not in case.owned]
    assert others == [(name, text) for name, text in twins(case.body) if name not in case.owned]


@named(payloads.BROKEN_MESSAGES)
def test_a_message_that_could_be_misread_reaches_no_tool(car, upstream, case):
    _, body, status, code = case
    upstream.forget()
    answer = car.post("/mcp/crm", body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert MARK not in answer.body
    assert b"delete_norm" not in answer.body
    assert (upstream.arrivals, upstream.noise) == ([], [])


@named(payloads.PASSING_MESSAGES)
def test_a_message_that_is_forwarded_is_byte_for_byte_what_was_judged(car, upstream, case):
    _, body = case
    upstream.forget()
    assert car.post("/mcp/crm", body).status == 200
    assert [arrival.body for arrival in upstream.arrivals] == [body]


CALL = payloads.PASSING_MESSAGES[0][1]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip"},
        {"content-encoding": "br, identity"},
        {"mcp-name": "delete_norm"},
        {"mcp-name": "=?base64?ZGVsZXRlX25vcm0=?="},
        {"mcp-name": "=?base64?lookup_norm"},
    ],
    ids=str,
)
def test_a_header_that_tells_another_message_is_refused(car, upstream, headers):
    upstream.forget()
    assert car.post("/mcp/crm", CALL, headers).status == 400
    assert upstream.arrivals == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-7", "text/plain; charset=utf-16le", MARK.decode()])
def test_a_server_is_told_the_one_type_that_was_judged(car, upstream, kind):
    upstream.forget()
    assert car.post("/mcp/crm", CALL, {"content-type": kind}).status == 200
    assert [arrival.all(b"content-type") for arrival in upstream.arrivals] == [[b"application/json"]]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_only_a_post_carries_a_message_to_a_tool(car, upstream, method):
    upstream.forget()
    answer = call(car.url, method, "/mcp/crm", payloads.BROKEN_MESSAGES[-1][1])
    assert (answer.status, upstream.arrivals) == (400, [])


@pytest.mark.parametrize("asked", [{"n": 16384}, {"best_of": 16384}, {"max_tokens": 2**63}, {"n": 2**63}], ids=str)
def test_answers_that_the_budget_cannot_hold_are_refused(upstream, asked):
    with sidecar(policy=a_policy(upstream.url, 1000, on_limit="Reject")) as car:
        upstream.forget()
        assert car.chat(**({"max_tokens": 4} | asked)).status == 400
        assert upstream.arrivals == []
