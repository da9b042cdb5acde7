"""How fast an agent may call, how many calls may run at once, and what it is told of it."""

import json
import socket
import threading
import time

import pytest
from agenttype_api.policy import RateLimits
from support.programs.sidecars import a_backend, a_chat, a_policy, sidecar, together
from support.servers.recording_upstream import recording, whole
from support.servers.scripted_upstream import Say, Wait
from support.waiting import until

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"


@pytest.fixture(scope="module")
def recorder():
    with recording() as upstream:
        yield upstream


@pytest.fixture
def upstream(recorder):
    recorder.forget()
    return recorder


def a_car(upstream, budget=None, **limits):
    policy = a_policy(upstream.url, budget, rate_limits=RateLimits(**limits), backends=(a_backend(upstream.url),))
    return sidecar(policy=policy)


def throttled(car, limit):
    return car.total("agenttype_ratelimit_throttled_total", f'limit="{limit}"')


BODY = json.dumps(a_chat()).encode()
A_CALL = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY


def slowly(seconds, tokens=5):
    usage = {"prompt_tokens": 1, "completion_tokens": tokens - 1, "total_tokens": tokens}
    return [Wait(seconds), Say(whole(json.dumps({"id": "c", "choices": [], "usage": usage}).encode()))]


@pytest.mark.parametrize(
    ("path", "kind", "code"), [(CHAT, "requests", "rate_limit_exceeded"), (MESSAGES, "rate_limit_error", None)]
)
def test_more_calls_than_the_minute_has_are_refused_with_the_time_to_come_back(upstream, path, kind, code):
    with a_car(upstream, requests_per_minute=3) as car:
        answers = [car.post(path, a_chat(max_tokens=5)) for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429]
        refused = answers[-1]
        assert (refused.json["error"]["type"], refused.json["error"].get("code")) == (kind, code)
        assert 18 <= int(refused.headers["retry-after"]) <= 20
        assert 18_000 <= int(refused.headers["retry-after-ms"]) <= 20_000
        assert "x-should-retry" not in refused.headers
        assert (len(upstream.arrivals), throttled(car, "requests")) == (3, 1)


def test_a_call_that_comes_back_when_it_was_told_to_passes(upstream):
    with a_car(upstream, requests_per_minute=60) as car:
        while (refused := car.chat(max_tokens=1)).status == 200:
            pass
        time.sleep(int(refused.headers["retry-after-ms"]) / 1000)  # the promise itself is what is tested
        assert car.chat(max_tokens=1).status == 200


def test_more_tokens_than_the_minute_has_are_refused(upstream):
    upstream.answers(slowly(0, tokens=900))
    with a_car(upstream, tokens_per_minute=1000) as car:
        assert car.chat(max_tokens=500).status == 200
        refused = car.chat(max_tokens=500)
        assert (refused.status, refused.json["error"]["type"]) == (429, "tokens")
        assert 20 <= int(refused.headers["retry-after"]) <= 30
        assert throttled(car, "tokens") == 1


def test_what_calls_asked_for_and_did_not_use_is_given_back(upstream):
    with a_car(upstream, tokens_per_minute=1000) as car:
        assert {car.chat(max_tokens=900).status for _ in range(10)} == {200}


def test_what_is_left_is_told_with_every_answer(upstream):
    upstream.answers(slowly(0, tokens=600))
    with a_car(upstream, requests_per_minute=30, tokens_per_minute=6000) as car:
        openai = car.chat(max_tokens=5).headers
        assert (openai["x-ratelimit-limit-requests"], openai["x-ratelimit-limit-tokens"]) == ("30", "6000")
        assert openai["x-ratelimit-remaining-requests"] == "29"
        assert 5400 <= int(openai["x-ratelimit-remaining-tokens"]) < 6000
        assert openai["x-ratelimit-reset-requests"].endswith("s")
        anthropic = car.post(MESSAGES, a_chat(max_tokens=5)).headers
        assert anthropic["anthropic-ratelimit-requests-limit"] == "30"
        assert anthropic["anthropic-ratelimit-tokens-remaining"].isdigit()
        assert anthropic["anthropic-ratelimit-requests-reset"].endswith("Z")
        assert not [name for name in anthropic if name.startswith("x-ratelimit")]


def test_the_backends_own_rates_are_passed_on_where_we_have_none(upstream):
    body = json.dumps({"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).encode()
    answer = Say(whole(body, b"x-ratelimit-remaining-requests: 7"))
    upstream.answers([answer], [answer])
    with a_car(upstream) as car:
        assert car.chat().headers["x-ratelimit-remaining-requests"] == "7"
    with a_car(upstream, requests_per_minute=60) as car:
        assert car.chat().headers["x-ratelimit-remaining-requests"] == "59"


def test_calls_beyond_the_places_wait_for_them(upstream):
    upstream.answers(*[slowly(0.3)] * 6)
    with a_car(upstream, max_concurrent=2) as car:
        began = time.monotonic()
        assert together(6, lambda _: car.chat(max_tokens=5).status) == [200] * 6
        assert time.monotonic() - began >= 0.9
        assert throttled(car, "concurrency") == 0


def test_a_caller_that_leaves_the_queue_takes_no_place(upstream):
    upstream.answers(slowly(6))
    with a_car(upstream, max_concurrent=1) as car:
        assert car.control("/agenttype/v1/status").json["runningCalls"] == 0
        first = threading.Thread(target=car.chat)
        first.start()
        until(lambda: upstream.arrivals)
        _leave_the_queue(car)
        assert car.chat().status == 200
        first.join()
        assert len(upstream.arrivals) == 2


def _leave_the_queue(car):
    with socket.create_connection(("127.0.0.1", car.data_port)) as caller:
        caller.sendall(A_CALL)
        until(lambda: car.control("/agenttype/v1/status").json["runningCalls"] == 2)


def test_who_waits_too_long_for_a_place_is_told_to_come_back(upstream):
    upstream.answers(slowly(100))
    with a_car(upstream, max_concurrent=1) as car, socket.create_connection(("127.0.0.1", car.data_port)) as first:
        first.sendall(A_CALL)
        until(lambda: upstream.arrivals)
        began = time.monotonic()
        refused = car.chat()
        assert (refused.status, refused.json["error"]["type"], refused.headers["retry-after"]) == (429, "requests", "1")
        assert 9 < time.monotonic() - began < 40
        assert throttled(car, "concurrency") == 1


def test_a_call_that_the_budget_refuses_gives_its_tokens_back(upstream):
    with a_car(upstream, budget=10, tokens_per_minute=1000) as car:
        answers = [car.chat("x" * 2000, max_tokens=500) for _ in range(5)]
        assert 429 not in {answer.status for answer in answers}
        assert upstream.arrivals == []


def test_new_limits_hold_from_the_next_call_on(upstream):
    with a_car(upstream, requests_per_minute=2) as car:
        assert [car.chat().status for _ in range(3)] == [200, 200, 429]
        wider = a_policy(upstream.url, rate_limits=RateLimits(), backends=(a_backend(upstream.url),))
        before = car.control("/agenttype/v1/policy").json["policyHash"]
        car.set_policy(wider)
        until(lambda: car.control("/agenttype/v1/policy").json["policyHash"] != before)
        assert car.chat().status == 200
        assert "x-ratelimit-limit-requests" not in car.chat().headers
