"""An exchange that fails is told as its own failure, at once, with what to do; the others are sent all the same."""

import pytest
from support import differences, exchanges
from support.exchanges import CHAT, SAY, SCRIPTED, TEXT, Exchange
from support.programs.simulators import simulator
from support.recordings import recorded
from support.replay import InOrder, Replay
from support.shapes import comparable

CHATS = {one.name: one for one in exchanges.GROUPS["chat"]}
FIRST, SECOND = CHATS["a natural end"], CHATS["a bounded answer"]
PATIENCE = 1.0


@pytest.fixture
def engine():
    with simulator(max_model_len=2048) as running:
        yield running


def replay(engine, tmp_path):
    return Replay(engine.url, tmp_path, PATIENCE)


def test_an_exchange_without_an_answer_fails_alone(engine, tmp_path):
    engine.fault(CHAT, hang=True, times=1)
    first, second = replay(engine, tmp_path).group([FIRST, SECOND])
    assert "TimeoutError after 1." in first["failed"]
    assert "reply" not in first
    differences.check_simulator("chat", second)


def test_an_answer_that_breaks_off_fails_alone(engine, tmp_path):
    engine.fault(CHAT, reset_after_bytes=20, times=1)
    first, second = replay(engine, tmp_path).group([FIRST, SECOND])
    assert "failed" in first
    differences.check_simulator("chat", second)


def test_an_answer_without_an_end_is_given_up(tmp_path):
    endless = Exchange("endless", TEXT, {"model": "base", "prompt": "a", "max_tokens": 2000, "stream": True})
    with simulator(max_model_len=4096, tokens_per_second=50) as slow:
        endless.body["prompt"] = "[[tokens=2000]]"
        [found] = Replay(slow.url, tmp_path, PATIENCE).group([endless])
    assert "the answer has no end" in found["failed"]


def test_an_engine_that_is_gone_is_asked_no_more(tmp_path):
    with simulator() as engine:
        gone = Replay(engine.url, tmp_path, PATIENCE)
    first, second = gone.group([FIRST, SECOND])
    assert "ConnectionRefusedError" in first["failed"]
    assert second["failed"].startswith("not sent: the engine did not come to rest after 'a natural end'")


def test_exchanges_are_sent_when_they_are_asked_for_and_in_their_order(engine, tmp_path):
    in_order = InOrder(replay(engine, tmp_path), {"chat": [FIRST, SECOND]})
    assert engine.arrived(CHAT) == []
    assert in_order.result("chat", SECOND.name)["name"] == SECOND.name
    assert in_order.result("chat", FIRST.name)["name"] == FIRST.name
    assert [sent["body"]["max_tokens"] for sent in engine.arrived(CHAT)] == [40, 3]


def a_result(**changes):
    return {**recorded("chat")["a natural end"], **changes}


def test_a_failure_names_the_exchange_the_reason_and_the_command():
    failed = {"name": "a natural end", "failed": "TimeoutError after 120.0 s: timed out"}
    with pytest.raises(AssertionError) as told:
        differences.check_engine("chat", failed)
    for part in ("chat: a natural end", "TimeoutError", "record_engine chat", "in float32 on", "this is"):
        assert part in str(told.value)


def test_a_difference_names_its_place_and_both_values():
    reply = a_result()["reply"]
    choice = reply["json"]["choices"][0] | {"finish_reason": "length"}
    changed = a_result(reply=reply | {"json": reply["json"] | {"choices": [choice]}})
    with pytest.raises(AssertionError) as told:
        differences.check_engine("chat", changed)
    assert "reply.json.choices[0].finish_reason: recorded 'stop', found 'length'" in str(told.value)


def test_other_words_where_the_model_is_free_are_no_difference():
    free = recorded("chat")["a bounded answer"]
    choice = free["reply"]["json"]["choices"][0]
    other = choice | {"message": choice["message"] | {"content": "La capitale"}}
    differences.check_engine(
        "chat", {**free, "reply": free["reply"] | {"json": free["reply"]["json"] | {"choices": [other]}}}
    )


def test_other_words_where_the_request_scripts_them_are_a_difference(engine, tmp_path):
    wrong = Exchange("a natural end", CHAT, {"model": "base", "messages": SAY, "max_tokens": 2} | SCRIPTED)
    found = replay(engine, tmp_path).one(wrong)
    assert comparable(found)["said"] == {"words": "one two", "arguments": {}}
    with pytest.raises(AssertionError, match=r"said\.words: recorded 'one two three', found 'one two'"):
        differences.check_engine("chat", found)


def test_a_call_that_is_cut_off_is_a_difference(tmp_path):
    [call] = [one for one in exchanges.TOOL_GROUPS["tools"] if one.name == "a required call in a stream"]
    with simulator(*exchanges.TOOL_FLAGS) as engine:
        cut = replay(engine, tmp_path).one(Exchange(call.name, CHAT, call.body | {"max_tokens": 3}))
    with pytest.raises(AssertionError, match=r"said\.arguments\.look_up: recorded .*, found"):
        differences.check_engine("tools", cut)


@pytest.mark.parametrize(
    ("found", "recorded", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {}, ["a: recorded nothing, found 1"]),
        ([1, 2], [1, 3], ["[1]: recorded 3, found 2"]),
        ([1], [1, 1], [": recorded [1, 1], found [1]"]),
    ],
)
def test_differences_are_told_nearest_to_the_root(found, recorded, told):
    assert list(differences.between(found, recorded)) == told
