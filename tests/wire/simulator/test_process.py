"""The stand-in as a process: what tests do with it."""

import contextlib
import http.client
import json
import socket
import time

import pytest
from support import evictions
from support.programs.simulators import simulator
from support.waiting import until

CHAT = "/v1/chat/completions"
PATIENCE = 60


@pytest.fixture
def vllm():
    with simulator() as running:
        yield running


def ask(vllm, content: str = "Hello", timeout: float = PATIENCE, **more):
    connection = http.client.HTTPConnection("127.0.0.1", vllm.port, timeout=timeout)
    body = {"model": "base", "messages": [{"role": "user", "content": content}]} | more
    with contextlib.closing(connection):
        connection.request("POST", CHAT, json.dumps(body), {"content-type": "application/json"})
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def test_usage_and_counters_agree(vllm):
    usage = json.loads(ask(vllm, "Say much. [[tokens=40]]")[1])["usage"]
    assert usage["completion_tokens"] == vllm.total("vllm:generation_tokens_total") == 40
    assert usage["prompt_tokens"] == vllm.total("vllm:prompt_tokens_total")


def test_a_scripted_status_replaces_the_reply_as_often_as_asked(vllm):
    vllm.fault(CHAT, status=503, times=2)
    assert [ask(vllm)[0] for _ in range(3)] == [503, 503, 200]


def test_a_reply_can_break_off_in_the_middle(vllm):
    vllm.fault(CHAT, reset_after_bytes=100, times=1)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(vllm)


def test_a_stream_can_break_off_in_the_middle(vllm):
    vllm.fault(CHAT, reset_after_bytes=700, times=1)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(vllm, stream=True)


def test_a_connection_can_break_before_the_reply(vllm):
    vllm.fault(CHAT, reset_after_bytes=0, times=1)
    with pytest.raises(ConnectionResetError):
        ask(vllm)


@pytest.mark.parametrize("fault", [{"hang": True}, {"hang_after_bytes": 50}, {"hang_after_bytes": 0}])
def test_a_reply_can_hang(vllm, fault):
    vllm.fault(CHAT, **fault)
    with pytest.raises(TimeoutError):
        ask(vllm, timeout=0.3)
    vllm.heal()
    assert ask(vllm)[0] == 200


def test_a_late_reply_is_whole(vllm):
    vllm.fault(CHAT, delay=0.2, times=1)
    began = time.monotonic()
    assert ask(vllm)[0] == 200
    assert time.monotonic() - began > 0.2


def test_what_arrived_can_be_read_and_forgotten(vllm):
    ask(vllm, "Hello [[tokens=3]]")
    (arrival,) = vllm.arrived(CHAT)
    assert arrival["body"]["messages"][0]["content"] == "Hello [[tokens=3]]"
    assert arrival["headers"]["content-type"] == "application/json"
    assert (arrival["outcome"], arrival["status"], arrival["completion_tokens"]) == ("answered", 200, 3)
    vllm.forget()
    assert vllm.arrived() == []


def test_a_caller_that_leaves_ends_the_answer():
    with simulator(tokens_per_second=100) as vllm:
        body = json.dumps({"model": "base", "messages": [{"role": "user", "content": "[[tokens=2000]]"}]})
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        with socket.create_connection(("127.0.0.1", vllm.port)) as caller:
            caller.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
            until(lambda: vllm.total("vllm:generation_tokens_total") >= 5)
        until(lambda: vllm.total("vllm:num_requests_running") == 0)
        (arrival,) = vllm.arrived(CHAT)
        assert arrival["outcome"] == "aborted"
        assert arrival["completion_tokens"] == vllm.total("vllm:generation_tokens_total") < 2000


def test_tokens_come_at_the_chosen_pace():
    with simulator(tokens_per_second=100, first_token_delay_seconds=0.1) as vllm:
        began = time.monotonic()
        ask(vllm, "[[tokens=21]]")
        assert 0.3 <= time.monotonic() - began < 20


def test_it_can_be_slow_to_start():
    began = time.monotonic()
    with simulator(start_delay_seconds=0.5):
        assert time.monotonic() - began > 0.5


async def test_it_also_starts_in_an_async_with():
    async with simulator(served_model_name=["base", "alias"]) as vllm:
        assert ask(vllm, model="alias")[0] == 200


def test_an_adapter_that_fell_out_of_memory_is_read_again(tmp_path):
    with simulator(*evictions.FLAGS) as vllm:
        evictions.load_two(vllm.url, tmp_path)
        assert evictions.say(vllm.url, "first")[0] == 200


def test_an_adapter_in_memory_outlives_its_files(tmp_path):
    with simulator(*evictions.FLAGS) as vllm:
        evictions.load_two(vllm.url, tmp_path)
        evictions.delete(tmp_path, "second")
        assert evictions.say(vllm.url, "second")[0] == 200


def test_a_call_for_an_adapter_whose_files_are_gone_kills_the_engine(tmp_path):
    with simulator(*evictions.FLAGS) as vllm:
        evictions.load_two(vllm.url, tmp_path)
        evictions.delete(tmp_path, "first")
        status, body = evictions.say(vllm.url, "first")
        assert (status, json.loads(body)) == (500, evictions.DEATH)
        assert vllm.process.wait(PATIENCE) == 1
