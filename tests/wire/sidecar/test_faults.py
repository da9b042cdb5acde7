"""What becomes of a call, and of its money, when something breaks."""

import http.client
import json
import random
import socket
import struct

import pytest
from support.programs.sidecars import a_chat, a_policy, sidecar, together
from support.programs.simulators import simulator
from support.waiting import until

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
QUICK = {"first_byte_ms": 1000, "idle_ms": 1000, "warm_up_ms": 300}


@pytest.fixture
def car(vllm):
    with sidecar(policy=a_policy(vllm.url, 100_000, timeouts=QUICK)) as running:
        yield running
        assert running.held() == 0
        assert running.total("agenttype_budget_overspend_total") == 0


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_stream_that_is_cut_stays_a_cut(car, vllm, path):
    vllm.fault(path, reset_after_bytes=900, times=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        car.post(path, a_chat(stream=True, max_tokens=40))
    assert car.total("agenttype_llm_requests_total", 'outcome="cut"') == 1
    assert car.chat(max_tokens=3).status == 200


def test_a_stream_that_falls_silent_is_cut(car, vllm):
    vllm.fault(CHAT, hang_after_bytes=900, times=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        car.chat(stream=True, max_tokens=40)


def test_a_cut_stream_is_charged_for_what_it_gave(car, vllm):
    vllm.fault(CHAT, reset_after_bytes=2000, times=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        car.chat(stream=True, max_tokens=1000, ignore_eos=True)
    prompt = vllm.arrived(CHAT)[0]["prompt_tokens"]
    assert car.total("agenttype_llm_tokens_total", 'direction="input"', 'usage_source="counted"') == prompt
    assert 0 < car.total("agenttype_llm_tokens_total", 'direction="output"', 'usage_source="counted"') < 100


def test_a_cut_stream_that_counts_nothing_is_charged_what_was_held(car, vllm):
    vllm.fault(MESSAGES, reset_after_bytes=900, times=1)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        car.post(MESSAGES, a_chat(stream=True, max_tokens=40))
    assert car.total("agenttype_llm_tokens_total", 'direction="output"', 'usage_source="reserved"') == 40


def test_a_whole_answer_that_breaks_is_a_502_and_charged_what_was_held(car, vllm):
    vllm.fault(CHAT, reset_after_bytes=100, times=1)
    answer = car.chat(max_tokens=40)
    assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_failed")
    assert car.total("agenttype_llm_tokens_total", 'direction="output"', 'usage_source="reserved"') == 40


def test_a_backend_that_never_answers_is_a_504_and_charged_what_was_held(car, vllm):
    vllm.fault(CHAT, hang=True, times=1)
    answer = car.chat(max_tokens=40)
    assert (answer.status, answer.json["error"]["code"]) == (504, "upstream_timeout")
    assert car.total("agenttype_llm_tokens_total", 'direction="output"', 'usage_source="reserved"') == 40


def test_an_engine_that_breaks_is_charged_the_prompt(car, vllm):
    vllm.fault(CHAT, status=500, times=1, body={"error": {"message": "broken"}})
    assert car.chat(max_tokens=40).status == 500
    assert car.total("agenttype_llm_tokens_total", 'direction="output"') == 0
    assert car.spent() > 0


def test_an_engine_that_takes_more_than_it_was_allowed_is_charged_and_reported(vllm):
    with sidecar(policy=a_policy(vllm.url, 1000)) as car:
        vllm.fault(CHAT, status=200, times=1, body={"usage": {"prompt_tokens": 3, "completion_tokens": 5000}})
        assert car.chat(max_tokens=40).status == 200
        assert car.spent() == 5003
        assert car.total("agenttype_budget_overspend_total", 'limit="run"') == 1
        assert car.chat(max_tokens=40).status == 402


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429])
def test_a_call_that_is_turned_down_costs_nothing(car, vllm, status):
    vllm.fault(CHAT, status=status, times=1, headers={"retry-after": "7"}, body={"error": {"message": "no"}})
    answer = car.chat(max_tokens=40)
    assert (answer.status, answer.headers["retry-after"]) == (status, "7")
    assert car.spent() == 0


def test_a_gate_that_turns_a_call_down_costs_nothing(car, vllm):
    vllm.fault(CHAT, status=503, times=1, headers={"x-agenttype-reason": "overloaded"}, body={})
    assert car.chat(max_tokens=40).status == 503
    assert car.spent() == 0


def test_a_caller_that_leaves_a_stream_ends_it_and_pays_for_what_came():
    with simulator(tokens_per_second=100) as slow, sidecar(policy=a_policy(slow.url, 100_000)) as car:
        _leave(car, a_chat(stream=True, max_tokens=1000, ignore_eos=True), events=5)
        until(lambda: slow.arrived(CHAT)[0]["outcome"] == "aborted", within=10)
        until(lambda: car.held() == 0)
        prompt, came = (
            slow.arrived(CHAT)[0]["prompt_tokens"],
            car.total("agenttype_llm_tokens_total", 'direction="output"'),
        )
        assert 4 <= came <= 200
        assert car.spent() == prompt + came
        assert car.total("agenttype_llm_requests_total", 'outcome="caller_gone"', 'code="499"') == 1


def test_a_caller_that_leaves_before_the_answer_ends_it_and_pays_what_was_held():
    with simulator(first_token_delay_seconds=30) as slow, sidecar(policy=a_policy(slow.url, 100_000)) as car:
        _leave(car, a_chat(max_tokens=40), events=0, after=lambda: slow.arrived(CHAT))
        until(lambda: slow.arrived(CHAT)[0]["outcome"] == "aborted", within=10)
        until(lambda: car.held() == 0)
        assert car.total("agenttype_llm_tokens_total", 'direction="output"', 'usage_source="reserved"') == 40


def test_a_backend_that_is_not_there_is_waited_for_and_then_a_503_that_costs_nothing():
    policy = a_policy("http://127.0.0.1:1", 1000, timeouts={"warm_up_ms": 300})
    with sidecar(policy=policy) as car:
        openai, anthropic = car.chat(max_tokens=4), car.post(MESSAGES, a_chat(max_tokens=4))
        assert (openai.status, openai.json["error"]["code"]) == (503, "warming")
        assert (anthropic.status, anthropic.json["error"]["type"]) == (503, "overloaded_error")
        assert openai.headers["retry-after"] == "5"
        assert openai.headers["x-agenttype-reason"] == "warming"
        assert (car.spent(), car.held()) == (0, 0)


def test_a_backend_that_warms_up_in_time_answers_as_if_nothing_were(vllm):
    with sidecar(policy=a_policy(vllm.url, 1000)) as car:
        vllm.fault(CHAT, status=503, times=3, headers={"x-agenttype-reason": "warming"}, body={})
        answer = car.chat(max_tokens=4)
        assert answer.status == 200
        assert len(vllm.arrived(CHAT)) == 4
        assert (car.spent(), car.held()) == (answer.tokens, 0)


def test_a_token_that_is_missing_is_a_503_and_nothing_is_sent(car, vllm):
    (car.folder / "token").unlink()
    answer = car.chat(max_tokens=4)
    assert (answer.status, answer.json["error"]["code"]) == (503, "credential_unavailable")
    assert (vllm.arrived(), car.spent()) == ([], 0)


def test_a_full_disk_refuses_calls_before_they_are_sent(vllm):
    with sidecar(policy=a_policy(vllm.url, 10_000_000)) as car:
        assert car.chat(max_tokens=2).status == 200
        car.fill_disk()
        sent = len(vllm.arrived(CHAT))
        refused = car.until_refused()
        assert (refused.status, refused.json["error"]["code"]) == (503, "ledger_unavailable")
        assert refused.headers["retry-after"] == "2"
        assert car.post(MESSAGES, a_chat(max_tokens=2)).json["error"]["type"] == "overloaded_error"
        answered = len(vllm.arrived(CHAT)) - sent
        car.free_disk()
        assert car.chat(max_tokens=2).status == 200
        assert car.total("agenttype_llm_requests_total", 'outcome="ok"') == answered + 2
        assert car.held() == 0


def test_a_restart_keeps_what_was_spent(vllm, tmp_path):
    policy = a_policy(vllm.url, 1000)
    with sidecar(policy=policy, folder=tmp_path) as car:
        tokens = car.chat(max_tokens=7).tokens
        assert car.end() == 0
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert car.spent() == tokens
        assert car.total("agenttype_holds_orphaned_total") == 0


def test_a_damaged_ledger_keeps_the_sidecar_from_starting(vllm, tmp_path):
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "ledger.db").write_bytes(b"")
    with (
        pytest.raises(AssertionError, match=r"ended at once with 1(.|\n)*is damaged"),
        sidecar(policy=a_policy(vllm.url, 1000), folder=tmp_path),
    ):
        pass


@pytest.mark.timeout(300)
def test_a_sidecar_that_is_killed_twenty_times_never_forgets_nor_overspends(tmp_path):
    """Each life takes calls until it is killed at a random moment; the engine counts what it really did."""
    moments = random.Random(7)
    limit = 30_000
    with simulator(tokens_per_second=400) as vllm:
        policy = a_policy(vllm.url, limit)
        for _ in range(20):
            with sidecar(policy=policy, folder=tmp_path) as car:
                assert _used(vllm) <= car.spent() <= limit
                _kill_amid_calls(car, vllm, moments.uniform(0, 0.25))
            until(lambda: vllm.total("vllm:num_requests_running") == 0)
        with sidecar(policy=policy, folder=tmp_path) as car:
            assert 0 < _used(vllm) <= car.spent() <= limit
            assert car.held() == 0


def _used(vllm):
    return vllm.total("vllm:prompt_tokens_total") + vllm.total("vllm:generation_tokens_total")


def _kill_amid_calls(car, vllm, seconds):
    """Have eight callers call without pause; kill the sidecar some moment after the first call has arrived."""
    before = len(vllm.arrived(CHAT))

    def work(number):
        if number == 8:
            until(lambda: len(vllm.arrived(CHAT)) > before or car.chat(max_tokens=1).status == 402)
            car.kill_after(seconds)
            return
        while car.process.poll() is None:
            try:
                car.chat("hello", max_tokens=30, stream=number % 2 == 0, ignore_eos=True)
            except (OSError, http.client.HTTPException):
                return

    together(9, work)


def _leave(car, body, events, after=None):
    """Make a call and hang up: after so many events, or before any, when `after` holds."""
    raw = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(raw)
    with socket.create_connection(("127.0.0.1", car.data_port)) as caller:
        caller.sendall(head + raw)
        seen = b""
        while events and seen.count(b"data: ") < events:
            seen += caller.recv(65536)
        if after:
            until(after)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
