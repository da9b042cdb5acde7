"""Backends that give more than they were asked for, or count so that a call looks cheaper than it is."""

import http.client
import json
import socket
import time

import pytest
from agenttype_api import policy as api
from support.programs.sidecars import a_backend, a_chat, a_limit, a_policy, sidecar, together
from support.servers.recording_upstream import chunked, recording, whole
from support.servers.scripted_upstream import Close, Say, Wait
from support.waiting import until

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"


@pytest.fixture(scope="module")
def recorder():
    with recording() as running:
        yield running


@pytest.fixture
def upstream(recorder):
    recorder.forget()
    return recorder


def data(**content):
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def named(name, **content):
    return f"event: {name}\n".encode() + data(type=name, **content)


def piece(written=None, prompt=3, text="ok", index=0):
    usage = {"prompt_tokens": prompt, "completion_tokens": written}
    counted = {} if written is None else {"usage": usage}
    return data(id="c", choices=[{"index": index, "delta": {"content": text}}], **counted)


def total(written, prompt=3):
    return data(id="c", choices=[], usage={"prompt_tokens": prompt, "completion_tokens": written})


def told(written):
    return named("message_delta", delta={}, usage={"output_tokens": written})


START = named("message_start", message={"id": "m", "usage": {"input_tokens": 3, "output_tokens": 1}})
TEXT = named("content_block_delta", index=0, delta={"type": "text_delta", "text": "ok"})
#: A stream of each protocol that says to have written 100,000 tokens, and goes on.
ENDLESS = {
    CHAT: piece(1) + piece(100_000),
    MESSAGES: START + TEXT + told(100_000),
    RESPONSES: named("response.output_text.delta", delta="ok")
    + named("response.in_progress", response={"usage": {"input_tokens": 3, "output_tokens": 100_000}}),
}
ENDING = {
    CHAT: b'"code":"insufficient_quota"}}\n\n' + DONE,
    MESSAGES: b'"type":"billing_error"',
    RESPONSES: b'"code":"insufficient_quota"',
}


def going_on(stream):
    """A streamed answer that does not end."""
    return [Say(chunked(stream, end=b"")), *[Wait(0.05), Say(b"5\r\n: \n\n\n\r\n")] * 200]


def a_call(path, **body):
    asked = {"input": "hello", "max_output_tokens": 40} if path == RESPONSES else {"max_tokens": 40}
    return a_chat(stream=True, **(asked | body))


def an_outside(url, **members):
    return a_backend(url, credential=api.Credential.NONE, max_model_len=None, **members)


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("resource", ["Tokens", "OutputTokens"])
def test_a_stream_that_goes_beyond_what_is_held_is_cut_and_charged_as_it_says(upstream, path, resource):
    with sidecar(policy=a_policy(upstream.url, limits=(a_limit(50_000, resource),))) as car:
        upstream.answers(going_on(ENDLESS[path]))
        began = time.monotonic()
        answer = car.post(path, a_call(path))
        assert (answer.status, ENDING[path] in answer.body) == (200, True)
        until(lambda: upstream.departures, within=10)
        assert time.monotonic() - began < 30
        assert car.spent() >= 100_000
        assert car.total("agenttype_budget_overspend_total") == 1
        assert car.total("agenttype_llm_requests_total", 'outcome="cut"') == 1
        assert car.post(path, a_call(path)).status == 402


def test_a_stream_within_what_is_held_is_left_alone_whatever_its_count_is_of(upstream):
    with sidecar(policy=a_policy(upstream.url, 50_000)) as car:
        upstream.answers([Say(chunked(piece(1) + piece(60) + total(60) + DONE))])
        answer = car.post(CHAT, a_call(CHAT))
        assert answer.events[-1] == "[DONE]"
        assert (car.spent(), car.total("agenttype_budget_overspend_total")) == (63, 0)


def test_a_prompt_that_is_longer_than_it_seemed_ends_no_stream(upstream):
    limits = (a_limit(50_000, "InputTokens"), a_limit(50_000, name="all"))
    with sidecar(policy=a_policy(upstream.url, limits=limits)) as car:
        upstream.answers([Say(chunked(piece(1, prompt=900) + piece(2, prompt=900) + total(2, prompt=900) + DONE))])
        assert car.post(CHAT, a_call(CHAT)).events[-1] == "[DONE]"
        assert (car.spent(), car.spent("all")) == (900, 902)


def test_a_stream_that_was_too_long_is_not_cut_at_its_end(upstream):
    with sidecar(policy=a_policy(upstream.url, 50_000)) as car:
        upstream.answers([Say(chunked(piece() + total(9000) + DONE))])
        assert car.post(CHAT, a_call(CHAT)).events[-1] == "[DONE]"
        assert (car.spent(), car.total("agenttype_budget_overspend_total")) == (9003, 0)


#: Streams that break off after they have told of less than they gave.
BELITTLED = [
    [piece(1), piece(), piece()],
    [total(0), piece(), piece()],
    [*(piece(1, index=index) for index in range(30))],
]


@pytest.mark.parametrize("pieces", BELITTLED)
@pytest.mark.parametrize("asked", [{}, {"n": 30}, {"stream_options": {"continuous_usage_stats": True}, "n": 30}])
def test_a_cut_stream_is_not_cheaper_for_a_number_that_is_no_total(upstream, pieces, asked):
    policy = a_policy(upstream.url, 50_000, backends=(an_outside(upstream.url),))
    with sidecar(policy=policy) as car:
        upstream.answers([Say(chunked(*pieces, end=b"")), Wait(0.05), Close()])
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            car.post(CHAT, a_call(CHAT, **asked))
        until(lambda: car.held() == 0)
        assert car.spent() >= 40 * asked.get("n", 1)


def test_a_caller_that_does_not_read_pays_for_what_was_written_meanwhile(upstream):
    with sidecar(policy=a_policy(upstream.url, 10**9, timeouts={"idle_ms": 30000})) as car:
        flood = piece(1, text="x" * 1000) * 20_000
        upstream.answers([Say(chunked(flood, end=b"")), Wait(5)])
        body = json.dumps(a_call(CHAT, max_tokens=1_000_000)).encode()
        with socket.create_connection(("127.0.0.1", car.data_port)) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body))
            caller.sendall(body)
            assert caller.recv(1000)
            until(lambda: car.control("/agenttype/v1/status").json["runningCalls"] == 1)
            time.sleep(0.5)  # so slow a caller is
        until(lambda: car.held() == 0)
        assert car.spent() >= 2048


@pytest.mark.parametrize("hiding", [{"stream_interval": 500}, {"include_reasoning": False}, {"tools": [{"name": "f"}]}])
def test_a_caller_that_leaves_pays_for_what_an_engine_can_have_written_in_silence(upstream, hiding):
    with sidecar(policy=a_policy(upstream.url, 10**6)) as car:
        upstream.answers([Say(chunked(piece(1), end=b"")), Wait(0.7), Close()])
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            car.post(CHAT, a_call(CHAT, max_tokens=1500, **hiding))
        until(lambda: car.held() == 0)
        assert 600 < car.spent() <= 1503


def test_a_template_that_says_more_than_any_call_is_held_for_once_it_was_seen(upstream):
    usage = {"prompt_tokens": 800, "completion_tokens": 2, "total_tokens": 802}
    answer = [Say(whole(json.dumps({"choices": [], "usage": usage}).encode()))]
    with sidecar(policy=a_policy(upstream.url, 2000, backends=(an_outside(upstream.url),))) as car:
        upstream.answers(*[answer] * 9)
        statuses = [car.chat(max_tokens=9).status, *together(8, lambda _: car.chat(max_tokens=9).status)]
        assert (statuses.count(200), statuses.count(402)) == (2, 7)
        assert (car.spent(), car.total("agenttype_budget_overspend_total")) == (1604, 0)


def test_a_call_that_was_turned_down_after_some_work_is_charged_for_it(upstream):
    failed = {"error": {"message": "no such tool"}, "usage": {"prompt_tokens": 9, "total_tokens": 30}}
    with sidecar(policy=a_policy(upstream.url, 50_000)) as car:
        upstream.answers([Say(whole(json.dumps(failed).encode(), status=b"400 Bad Request"))])
        assert car.chat(max_tokens=40).status == 400
        assert car.spent() == 30


def test_hidden_thoughts_that_only_the_total_tells_of_are_charged(upstream):
    with sidecar(policy=a_policy(upstream.url, 50_000)) as car:
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 45}
        upstream.answers([Say(chunked(piece() + data(id="c", choices=[], usage=usage) + DONE))])
        assert car.post(CHAT, a_call(CHAT)).status == 200
        assert car.spent() == 45


@pytest.mark.parametrize(
    "hiding",
    [
        {"stop_sequences": ["x" * 5000]},
        {"logit_bias": {"7": 100}},
        {"vllm_xargs": {"a": 1}},
        {"tools": [{"name": "f"}]},
    ],
)
def test_a_cut_message_whose_text_may_not_be_all_is_charged_what_was_held(upstream, hiding):
    with sidecar(policy=a_policy(upstream.url, 50_000)) as car:
        upstream.answers([Say(chunked(START + TEXT, end=b"")), Wait(0.05), Close()])
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            car.post(MESSAGES, a_call(MESSAGES, **hiding))
        until(lambda: car.held() == 0)
        assert car.spent() == 3 + 40
