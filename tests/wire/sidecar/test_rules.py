"""What a policy's rules refuse, cut, note and stop, seen by an agent and by those who watch it."""

import json
import time

import pytest
from agenttype_api.policy import Rule
from agenttype_api.v1alpha1 import RuleAction, RuleTarget
from agenttype_sidecar.llm.usage import UNSEEN
from support.programs.sidecars import a_backend, a_chat, a_policy, sidecar
from support.servers.recording_upstream import chunked, recording, whole
from support.servers.scripted_upstream import Say
from support.waiting import until

CHAT, MESSAGES, RESPONSES, COMPLETIONS = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions"
A_KEY = "AKIA0123456789ABCDEF"
KEY = "AKIA[0-9A-Z]{16}"
VIOLATIONS = "/agenttype/v1/violations"


def a_rule(*on, name="no-keys", action="Deny", **says):
    return Rule(name=name, applies_to=tuple(map(RuleTarget, on or ("LLMRequest",))), action=RuleAction(action), **says)


@pytest.fixture(scope="module")
def recorder():
    with recording() as upstream:
        yield upstream


@pytest.fixture
def upstream(recorder):
    recorder.forget()
    return recorder


def a_car(upstream, *rules, budget=100_000, **members):
    backend = a_backend(upstream.url, max_model_len=100_000)
    return sidecar(policy=a_policy(upstream.url, budget, rules=rules, backends=(backend,), **members))


def notes(car):
    return [(each["rule"], each["appliedTo"], each["action"], each["subject"]) for each in car.control(VIOLATIONS).json]


def counted(car, rule="no-keys"):
    return car.total("agenttype_violations_total", f'rule="{rule}"')


# requests


@pytest.mark.parametrize(
    ("path", "kind", "code"), [(CHAT, "permission_error", "policy_violation"), (MESSAGES, "permission_error", None)]
)
def test_a_call_that_a_rule_forbids_is_refused_before_it_is_sent(upstream, path, kind, code):
    with a_car(upstream, a_rule(matches=KEY)) as car:
        answer = car.post(path, a_chat(f"my key is {A_KEY}", max_tokens=5))
        assert (answer.status, answer.json["error"]["type"], answer.json["error"].get("code")) == (403, kind, code)
        assert answer.headers["x-agenttype-rule"] == "no-keys"
        assert answer.headers["x-agenttype-reason"] == "policy_violation"
        assert answer.headers["x-should-retry"] == "false"
        assert (upstream.arrivals, car.spent(), car.held()) == ([], 0, 0)
        assert notes(car) == [("no-keys", "LLMRequest", "Deny", "base")]
        assert counted(car) == 1
        assert car.total("agenttype_refusals_total", 'reason="policy_violation"') == 1


def test_what_a_rule_finds_is_shown_nowhere(upstream):
    with a_car(upstream, a_rule(matches=KEY)) as car:
        answer = car.chat(f"my key is {A_KEY}")
        seen = [str(answer.headers), answer.body, car.control(VIOLATIONS).body, car.control("/metrics").body, car.log]
    assert "AKIA" not in str(seen)


def test_an_escape_hides_nothing(upstream):
    hidden = json.dumps(a_chat(A_KEY)).replace("AKIA", "\\u0041K\\u0049A").encode()
    with a_car(upstream, a_rule(matches=KEY)) as car:
        assert car.post(CHAT, hidden).status == 403


def test_the_arguments_of_an_earlier_tool_call_are_looked_at_too(upstream):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"k":"\\u0041KIA0123456789ABCDEF"}'}}
    messages = [{"role": "assistant", "content": None, "tool_calls": [call]}]
    with a_car(upstream, a_rule(matches=KEY)) as car:
        assert car.chat(messages=messages).status == 403


def test_a_warning_lets_the_call_pass_and_is_noted(upstream):
    with a_car(upstream, a_rule(matches=KEY, action="Warn")) as car:
        assert car.chat(A_KEY).status == 200
        assert (notes(car), len(upstream.arrivals)) == ([("no-keys", "LLMRequest", "Warn", "base")], 1)


def test_a_rule_can_look_at_names_sizes_and_rates(upstream):
    rules = [
        a_rule(name="model", model="gpt-5*"),
        a_rule(name="size", more_than_bytes=5000),
        a_rule(name="rate", more_per_minute=2, model="gpt-4*"),
    ]
    with a_car(upstream, *rules) as car:
        calls = [a_chat("x", model="gpt-5"), a_chat("x" * 5000), a_chat(), a_chat()]
        answers = [car.post(CHAT, body) for body in calls]
        assert [answer.headers.get("x-agenttype-rule") for answer in answers] == ["model", "size", None, "rate"]


# answers


def an_answer(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}
    return whole(json.dumps({"id": "c", "choices": [choice], "usage": usage}).encode())


def test_a_whole_answer_that_a_rule_forbids_is_kept_back_and_charged(upstream):
    upstream.answers([Say(an_answer(f"it is {A_KEY}"))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY)) as car:
        answer = car.chat()
        assert (answer.status, answer.headers["x-agenttype-rule"]) == (403, "no-keys")
        assert b"AKIA" not in answer.body
        assert (car.spent(), car.held()) == (10, 0)
        assert notes(car) == [("no-keys", "LLMResponse", "Deny", "base")]
        assert car.chat().status == 200


def test_an_answer_that_only_deserves_a_warning_is_passed(upstream):
    upstream.answers([Say(an_answer(A_KEY))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY, action="Warn")) as car:
        assert car.chat().json["choices"][0]["message"]["content"] == A_KEY
        assert counted(car) == 1


def sse(*events, names=False):
    prefix = [f"event: {event['type']}\n" if names else "" for event in events]
    return [f"{name}data: {json.dumps(event)}\n\n".encode() for name, event in zip(prefix, events, strict=True)]


def chat_chunks(*texts):
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return sse(*({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], "usage": usage} for text in texts))


def completion_chunks(*texts):
    return sse(*({"id": "c", "choices": [{"index": 0, "text": text}]} for text in texts))


def message_events(*texts):
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    start = {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 3}}}
    return sse(
        start, *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas), names=True
    )  # fmt: skip


def response_events(*texts):
    kind = "response.output_text.delta"
    deltas = [
        {"type": kind, "item_id": "i", "output_index": 0, "content_index": 0, "delta": text, "sequence_number": at}
        for at, text in enumerate(texts)
    ]
    return sse({"type": "response.created", "response": {"id": "resp_1"}}, *deltas, names=True)


def a_request(path):
    if path == RESPONSES:
        return {"model": "gpt-4o", "input": "hello", "stream": True, "max_output_tokens": 50}
    if path == COMPLETIONS:
        return {"model": "gpt-4o", "prompt": "hello", "stream": True, "max_tokens": 50}
    return a_chat(stream=True, max_tokens=50)


@pytest.mark.parametrize(
    ("path", "write", "ending"),
    [
        (CHAT, chat_chunks, ["policy_violation", "[DONE]"]),
        (COMPLETIONS, completion_chunks, ["policy_violation", "[DONE]"]),
        (MESSAGES, message_events, ["permission_error"]),
        (RESPONSES, response_events, ["policy_violation", "response.failed"]),
    ],
)
def test_a_stream_is_cut_before_the_event_that_completes_a_match(upstream, path, write, ending):
    events = write("it is AKIA01", "23456789AB", "CDEF and", "NEVER")
    upstream.answers([Say(chunked(*events, end=b""))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY)) as car:
        began = time.monotonic()
        answer = car.post(path, a_request(path))
        assert answer.status == 200
        assert b"23456789AB" in answer.body
        assert b"CDEF" not in answer.body
        assert b"NEVER" not in answer.body
        last = answer.events[-len(ending) :]
        assert [part in data for part, data in zip(ending, last, strict=True)] == [True] * len(ending)
        assert time.monotonic() - began < 30
        assert notes(car) == [("no-keys", "LLMResponse", "Deny", "base")]
        assert (car.held(), car.spent() > 0) == (0, True)
        assert car.total("agenttype_llm_requests_total", 'outcome="cut"') == 1


def test_the_backend_of_a_stream_that_is_cut_is_left_at_once(upstream):
    upstream.answers([Say(chunked(*chat_chunks(A_KEY), end=b""))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY)) as car:
        car.chat(stream=True)
        until(lambda: upstream.departures, within=30)


def test_a_cut_stream_is_charged_for_what_was_produced(upstream):
    upstream.answers([Say(chunked(*chat_chunks("a", "b", A_KEY), end=b""))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY)) as car:
        car.chat(stream=True, max_tokens=50)
        written = 4 + UNSEEN  # what the engine had told of, and what it can have written since
        assert (car.spent(), car.total("agenttype_llm_tokens_total", 'usage_source="counted"')) == (written, written)


def test_the_arguments_of_a_streamed_tool_call_are_read_through_their_escapes(upstream):
    pieces = ['{"cmd": "\\u00', "41KIA0123", '456789ABCDEF"}', "NEVER"]
    calls = [[{"index": 0, "function": {"arguments": piece}}] for piece in pieces]
    events = sse(*({"id": "c", "choices": [{"index": 0, "delta": {"tool_calls": call}}]} for call in calls))
    upstream.answers([Say(chunked(*events, end=b""))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY)) as car:
        answer = car.chat(stream=True)
        assert (b"456789ABCDEF" in answer.body, b"NEVER" in answer.body) == (False, False)


def test_a_stream_that_no_rule_minds_passes_byte_for_byte(upstream):
    events = [*chat_chunks("a", "b"), b"data: [DONE]\n\n"]
    upstream.answers([Say(chunked(*events))])
    body = a_chat(stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True})
    with a_car(upstream, a_rule("LLMResponse", matches=KEY)) as car:
        assert car.post(CHAT, body).body == b"".join(events)


# stopping


def test_a_rule_can_stop_the_agent_for_good(upstream):
    with a_car(upstream, a_rule(matches=KEY, action="StopAgent")) as car:
        assert car.chat(A_KEY).headers["x-agenttype-rule"] == "no-keys"
        after = car.chat("hello")
        assert (after.status, after.headers["x-agenttype-reason"]) == (403, "agent_stopped")
        assert "no-keys" in car.control("/agenttype/v1/policy").json["stopped"]
        assert upstream.arrivals == []


def test_a_rule_that_stops_the_agent_cuts_the_stream_that_broke_it(upstream):
    upstream.answers([Say(chunked(*chat_chunks("a", A_KEY, "NEVER"), end=b""))])
    with a_car(upstream, a_rule("LLMResponse", matches=KEY, action="StopAgent")) as car:
        answer = car.chat(stream=True)
        assert (A_KEY.encode() in answer.body, "[DONE]" in answer.events) == (False, True)
        assert car.chat("hello").headers["x-agenttype-reason"] == "agent_stopped"


# policies and reports


def test_a_policy_with_a_pattern_that_cannot_be_read_changes_nothing(upstream):
    good = a_policy(upstream.url, rules=(a_rule(matches=KEY),))
    with sidecar(policy=good) as car:
        car.set_policy(a_policy(upstream.url, rules=(a_rule(name="bad-one", matches="(?=x)"),)))
        until(lambda: "bad-one" in car.control("/agenttype/v1/policy").json["error"])
        assert car.chat(A_KEY).status == 403


def test_who_watches_the_report_hears_of_a_violation_at_once(upstream):
    with a_car(upstream, a_rule(matches=KEY)) as car:
        now = car.control("/agenttype/v1/policy").json["sequence"]
        car.chat(A_KEY)
        report = car.control(f"/agenttype/v1/policy?after={now}&wait=30").json
        assert [each["rule"] for each in report["violations"]] == ["no-keys"]
        assert report["sequence"] > now


def test_only_the_last_violations_are_kept(upstream):
    with a_car(upstream, a_rule(matches=KEY)) as car:
        for _ in range(60):
            car.chat(A_KEY)
        assert [each["sequence"] for each in car.control(VIOLATIONS).json] == list(range(11, 61))
        assert counted(car) == 60
