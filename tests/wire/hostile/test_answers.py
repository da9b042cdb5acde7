"""Upstreams that are broken or lie: the caller is never told that half an answer is whole, nor given another's."""

import json

import pytest
from support import process_watch
from support.callers.raw_caller import converse
from support.hostile import streams
from support.hostile.cases import MARK, post
from support.hostile.policies import a_full_policy
from support.programs.sidecars import a_chat, a_limit, a_policy, sidecar
from support.servers.scripted_upstream import Say
from support.waiting import until

QUICK = {"first_byte_ms": 1500, "idle_ms": 1500, "warm_up_ms": 200}
STREAM = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
#: Within which every broken upstream is given up, be the machine ever so busy.
DEADLINE = 30


@pytest.fixture(scope="module")
def car(upstream):
    with sidecar(policy=a_full_policy(upstream.url, timeouts=QUICK)) as running:
        yield running


def named(cases):
    return pytest.mark.parametrize("case", [pytest.param(case, id=case[0]) for case in cases])


async def ask(car, upstream, case, **body):
    """Make one call that is answered by the case's script, and return the answer that came and the call's record."""
    upstream.answers(case.script)
    raw = json.dumps(a_chat(max_tokens=40, **body)).encode()
    heard = await converse(car.data_port, post(b"connection: close", body=raw), within=DEADLINE)
    assert heard.ended != "open"
    (answer,) = heard.answers
    until(lambda: car.held() == 0)
    return answer, car.control("/agenttype/v1/calls").json[-1]


def is_charged(record, tokens: int, source: str) -> bool:
    """Whether a call was charged so; where nothing is known, its text may bound it better than what was held."""
    if source == "reserved":
        return record["usageSource"] in ("reserved", "estimated") and record["outputTokens"] <= tokens
    return (record["outputTokens"], record["usageSource"]) == (tokens, source)


def next_call_is_sound(car, upstream):
    upstream.forget()
    answer = car.chat()
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "ok")
    assert MARK not in answer.body


@named([*streams.EVENTS, *streams.USAGES])
async def test_an_odd_stream_passes_byte_for_byte(car, upstream, case):
    answer, record = await ask(car, upstream, case, **STREAM)
    assert (answer.status, answer.complete, answer.body) == (200, case.complete, case.body)
    assert is_charged(record, *case.charged)
    next_call_is_sound(car, upstream)


@named(streams.CUTS)
async def test_a_broken_stream_is_cut_behind_what_was_sound(car, upstream, case):
    answer, record = await ask(car, upstream, case, stream=True)
    assert (answer.status, answer.complete) == (200, False)
    assert case.body in (None, answer.body)
    assert record["outcome"] == "cut"
    assert is_charged(record, *case.charged)
    next_call_is_sound(car, upstream)


@named(streams.UNBEGUN)
async def test_a_stream_that_breaks_before_its_first_event_is_refused_in_our_words(car, upstream, case):
    answer, record = await ask(car, upstream, case, stream=True)
    assert (answer.status, answer.complete) == (502, True)
    assert MARK not in b"".join([*answer.fields, *answer.fields.values(), answer.body])
    assert record["outcome"] == "upstream_error"
    assert is_charged(record, *case.charged)
    next_call_is_sound(car, upstream)


@named(streams.WHOLES)
async def test_a_broken_answer_passes_whole_or_is_refused_in_our_words(car, upstream, case):
    answer, record = await ask(car, upstream, case)
    assert (answer.status, answer.complete) == (case.status, True)
    assert case.body in (None, answer.body)
    assert MARK not in b"".join([*answer.fields, *answer.fields.values(), answer.body])
    assert is_charged(record, *case.charged)
    next_call_is_sound(car, upstream)


@named(streams.STOWAWAYS)
def test_bytes_that_nobody_asked_for_reach_nobody(car, upstream, case):
    _, script = case
    upstream.answers(script)
    assert car.chat().status == 200
    until(lambda: script in upstream.played)
    for _ in range(3):
        next_call_is_sound(car, upstream)


LIE = streams.whole(json.dumps({"usage": streams.USAGE | {"completion_tokens": streams.MOST}}).encode())


def test_a_lie_that_is_barely_believed_spends_the_budget_and_breaks_nothing(upstream, tmp_path):
    with sidecar(policy=a_policy(upstream.url, limits=(a_limit(10**9, "OutputTokens"),)), folder=tmp_path) as car:
        upstream.answers([Say(LIE)])
        assert [car.chat(max_tokens=4).status for _ in range(2)] in ([200, 402], [200, 429])
        assert car.spent() == streams.MOST
        assert car.total("agenttype_budget_overspend_total") == 1
        assert car.end() == 0
    with sidecar(policy=a_policy(upstream.url, limits=(a_limit(10**9, "OutputTokens"),)), folder=tmp_path) as car:
        assert car.spent() == streams.MOST
        assert car.chat(max_tokens=4).status in (402, 429)
        assert "Traceback" not in car.log


def test_three_hundred_lies_overflow_no_ledger(upstream, tmp_path):
    with sidecar(policy=a_policy(upstream.url), folder=tmp_path) as car:
        upstream.answers(*[[Say(LIE)]] * 300)
        assert {car.chat().status for _ in range(300)} == {200}
        assert car.end() == 0
        assert "Traceback" not in car.log
    with sidecar(policy=a_policy(upstream.url, 10**18), folder=tmp_path) as car:
        assert car.spent() >= 300 * streams.MOST


def test_after_all_of_it_nothing_is_left_in_the_process(car):
    until(lambda: process_watch.sockets(car.process.pid) <= 6)
    assert car.control("/agenttype/v1/status").json["runningCalls"] == 0
    assert car.held() == 0
    assert process_watch.resident(car.process.pid) < 160 * 2**20
    assert "Traceback" not in car.log


def test_the_corpus_has_no_name_twice():
    names = [case[0] for case in (*streams.EVENTS, *streams.USAGES, *streams.CUTS, *streams.UNBEGUN)]
    assert len(set(names)) == len(names)
