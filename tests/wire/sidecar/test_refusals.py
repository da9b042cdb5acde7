"""What an agent is answered when it asks wrongly or for too much."""

import json
import socket

import pytest
from agenttype_api import policy as api
from support.programs.sidecars import a_backend, a_chat, a_limit, a_policy, a_route, sidecar
from support.programs.simulators import simulator

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
MARK = "a-word-that-only-the-caller-knows"


@pytest.fixture(scope="module")
def engine():
    with simulator() as vllm:
        yield vllm


@pytest.fixture
def vllm(engine):
    engine.forget()
    return engine


@pytest.fixture(scope="module")
def routed(engine):
    """A sidecar that routes gpt-* to an OpenAI backend and claude-* to an Anthropic one."""
    only_openai = a_backend(engine.url, "openai", protocols=(api.WireProtocol.OPENAI,))
    only_anthropic = a_backend(engine.url, "anthropic", protocols=(api.WireProtocol.ANTHROPIC,))
    routes = (a_route("gpt-*", backend="openai"), a_route("claude-*", backend="anthropic"))
    policy = a_policy(engine.url, 100_000, backends=(only_openai, only_anthropic), routes=routes)
    with sidecar(policy=policy) as car:
        yield car


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_body"),
        (b"{", 400, "malformed_body"),
        (b"[]", 400, "malformed_body"),
        (b'"' + MARK.encode() + b'"', 400, "malformed_body"),
        (b"\xff\xfe", 400, "malformed_body"),
        (b'{"model":"gpt-4o","model":"' + MARK.encode() + b'"}', 400, "malformed_body"),
        (b'{"Model":"' + MARK.encode() + b'"}', 400, "malformed_body"),
        (b'{"a":' * 500, 400, "malformed_body"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400, "malformed_body"),
        (b'{"messages":[]}', 400, "malformed_body"),
        (b'{"model":["' + MARK.encode() + b'"]}', 400, "malformed_body"),
        (b'{"model":"gpt-4o","max_tokens":"' + MARK.encode() + b'"}', 400, "malformed_body"),
        (b'{"model":"gpt-4o","stream":"yes"}', 400, "malformed_body"),
        (b'{"model":"gpt-4o","n":-1}', 400, "malformed_body"),
        (json.dumps(a_chat(model=MARK)).encode(), 404, "model_not_found"),
        (json.dumps(a_chat(model="claude-5")).encode(), 400, "wrong_protocol"),
        (b"{" + b" " * 9_000_000 + b"}", 413, "body_too_large"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused_in_openais_words_and_never_sent(routed, vllm, body, status, code):
    answer = routed.post(CHAT, body)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-agenttype-reason"] == code
    assert MARK.encode() not in answer.body
    assert vllm.arrived() == []


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "invalid_request_error"),
        (json.dumps(a_chat(model="nope")).encode(), 404, "not_found_error"),
        (json.dumps(a_chat(model="gpt-4o")).encode(), 400, "invalid_request_error"),
    ],
)
def test_a_wrong_call_is_refused_in_anthropics_words(routed, vllm, body, status, kind):
    answer = routed.post(MESSAGES, body)
    assert (answer.status, answer.json["type"], answer.json["error"]["type"]) == (status, "error", kind)
    assert vllm.arrived() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/", 405), ("HEAD", "/api/status", 404), ("GET", f"/{MARK}", 404),
        ("POST", "/v1/load_lora_adapter", 404),
        ("POST", "/v1/audio/speech", 404), ("GET", "/metrics", 404), ("POST", "/tokenize", 404), ("GET", CHAT, 405),
        ("DELETE", "/v1/models", 405), ("GET", "/v1/models/..", 404), ("GET", "/mcp/nothing", 404),
    ],
)  # fmt: skip
def test_every_other_path_and_method_is_refused_at_once(routed, vllm, method, path, status):
    answer = routed.get(path, method=method)
    assert answer.status == status
    assert MARK.encode() not in answer.body
    assert vllm.arrived() == []


def test_a_compressed_body_is_refused_for_nobody_could_judge_it(routed):
    assert routed.post(CHAT, b"\x1f\x8b", {"content-encoding": "gzip"}).status == 400


def test_a_spent_budget_refuses_in_both_protocols_and_stops_retries(vllm):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests", "calls"),))) as car:
        assert car.chat(max_tokens=2).status == 200
        openai, anthropic = car.chat(max_tokens=2), car.post(MESSAGES, a_chat(max_tokens=2))
        assert (openai.status, openai.json["error"]["type"]) == (402, "insufficient_quota")
        assert (anthropic.status, anthropic.json["error"]["type"]) == (402, "billing_error")
        for answer in (openai, anthropic):
            assert answer.headers["x-should-retry"] == "false"
            assert answer.headers["x-agenttype-limit"] == "calls"
            assert answer.headers["x-agenttype-remaining"] == "0"
            assert "retry-after" not in answer.headers
        assert len(vllm.arrived()) == 1
        assert car.total("agenttype_budget_rejections_total", 'limit="calls"', 'reason="insufficient_quota"') == 2


def test_a_call_larger_than_the_whole_budget_is_told_so(vllm):
    with sidecar(policy=a_policy(vllm.url, 20)) as car:
        openai, anthropic = car.chat("word " * 100), car.post(MESSAGES, a_chat("word " * 100, max_tokens=50))
        assert (openai.status, openai.json["error"]["code"]) == (400, "request_exceeds_budget")
        assert (anthropic.status, anthropic.json["error"]["type"]) == (400, "invalid_request_error")
        assert vllm.arrived(CHAT) + vllm.arrived(MESSAGES) == []


def test_an_answer_is_clamped_to_what_is_left_and_says_so(vllm):
    with sidecar(policy=a_policy(vllm.url, 60)) as car:
        answer = car.chat("count", max_tokens=500, ignore_eos=True)
        assert answer.status == 200
        assert answer.headers["x-agenttype-clamped"] == "max_tokens"
        assert answer.tokens <= 60
        assert car.total("agenttype_budget_clamped_total") == 1


def test_a_policy_that_rejects_does_not_clamp(vllm):
    with sidecar(policy=a_policy(vllm.url, 600, on_limit="Reject")) as car:
        assert car.chat("hello", max_tokens=300).status == 200
        assert car.chat("hello", max_tokens=590).status == 402
        assert len(vllm.arrived(CHAT)) == 1


def test_a_prompt_that_is_too_large_by_its_bytes_is_counted_by_the_engine_before_it_is_denied(vllm):
    with sidecar(policy=a_policy(vllm.url, 1000)) as car:
        assert car.chat("word " * 300, max_tokens=20).status == 200
        assert [request["path"] for request in vllm.arrived()] == ["/tokenize", CHAT]


def test_a_long_prompt_without_a_bound_leaves_its_answer_the_room_that_the_context_has(vllm):
    with sidecar(policy=a_policy(vllm.url, 100_000)) as car:
        assert car.chat("word " * 400).status == 200
        tokenized, sent = vllm.arrived()
        assert tokenized["path"] == "/tokenize"
        assert sent["body"]["max_tokens"] == 2048 - sent["prompt_tokens"]


def test_two_hundred_calls_at_once_against_a_budget_for_fifty_send_exactly_fifty(vllm):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(50, "Requests", "calls"),))) as car:
        answers = car.at_once(*[a_chat(max_tokens=4)] * 200)
        assert (answers.count(200), answers.count(402)) == (50, 150)
        assert len(vllm.arrived(CHAT)) == 50
        assert (car.spent("calls"), car.held("calls")) == (50, 0)
        assert car.total("agenttype_budget_overspend_total") == 0


def test_two_hundred_calls_at_once_never_overspend_a_token_budget():
    with simulator(tokens_per_second=200) as vllm, sidecar(policy=a_policy(vllm.url, 2000)) as car:
        answers = car.at_once(*[a_chat(max_tokens=20), a_chat(max_tokens=20, stream=True)] * 100)
        used = vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total")
        assert set(answers) <= {200, 402, 429}
        assert 0 < used == car.spent() <= 2000
        assert car.total("agenttype_budget_overspend_total") == 0


def test_a_caller_that_never_sends_its_body_takes_nothing_with_it(routed):
    with socket.create_connection(("127.0.0.1", routed.data_port)) as stuck:
        stuck.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        assert routed.chat(max_tokens=2).status == 200
    assert routed.held() == 0


@pytest.mark.parametrize("path", [CHAT, MESSAGES, "/v1/models", "/mcp", "/mcp/none", "/tools/none/a"])
@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "http://localhost.evil.example.com:15001"])
def test_a_page_of_another_site_may_not_ask_anything(routed, vllm, path, origin):
    answer = routed.post(path, json.dumps(a_chat()).encode(), {"origin": origin, "content-type": "text/plain"})

    assert (answer.status, answer.headers["x-agenttype-reason"]) == (403, "foreign_origin")
    assert vllm.arrived() == []


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8443"])
def test_a_page_of_the_agents_own_machine_may(routed, origin):
    assert routed.post(CHAT, json.dumps(a_chat()).encode(), {"origin": origin}).status == 200
