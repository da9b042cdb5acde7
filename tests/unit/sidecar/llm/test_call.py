import json

import pytest
from agenttype_api import policy as api
from agenttype_sidecar.budget.amounts import Amounts
from agenttype_sidecar.budget.reservation import Claim, Grant
from agenttype_sidecar.errors import MalformedBody, UnknownModel, WrongProtocol
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm import paths
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.routing.routes import Routes
from support.programs.sidecars import a_backend, a_chat, a_policy, a_route

URL = "http://shared.test"
CHAT, COMPLETIONS, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"
RESPONSES, EMBEDDINGS = "/v1/responses", "/v1/embeddings"
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.test/a.png"}}]}]
FREE = Grant(Amounts(requests=1), None, clamped=False)


def read(body, path=CHAT, policy=None):
    routes = Routes(policy or a_policy(URL))
    return calls.read(paths.endpoint(path), Body(json.dumps(body).encode()), routes)


def an_external_policy(protocol=api.WireProtocol.OPENAI):
    backend = a_backend(URL, protocols=(protocol,), credential=api.Credential.API_KEY, max_model_len=None)
    return a_policy(URL, backends=(backend,), routes=(a_route("*", model=None),))


def bounded(output):
    return Grant(Amounts(10, output, 1), output, clamped=False)


def sent(body, path=CHAT, grant=FREE, policy=None):
    return json.loads(calls.rewritten(read(body, path, policy), grant))


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": None}, {"model": 7}, {"model": ""}, {"max_tokens": "5"}, {"max_tokens": 1.5}, {"max_tokens": -1},
        {"max_tokens": True}, {"max_completion_tokens": []}, {"n": 0}, {"n": "2"}, {"n": 1.0}, {"stream": "true"},
        {"stream": 1}, {"stream_options": []}, {"stream_options": "x"},
    ],
)  # fmt: skip
def test_a_value_that_servers_could_read_differently_is_refused(wrong):
    with pytest.raises(MalformedBody):
        read(a_chat(**wrong))


def test_null_means_absent():
    call = read(a_chat(max_tokens=None, n=None, stream=None, stream_options=None))
    assert (call.output, call.answers, call.stream) == (None, 1, False)


def test_the_larger_of_two_bounds_is_what_a_call_can_cost():
    assert read(a_chat(max_tokens=9, max_completion_tokens=20)).output == 20


@pytest.mark.parametrize("asked", [2**31, 2**63, 10**30])
def test_a_bound_that_no_answer_reaches_is_one_that_a_ledger_can_hold(asked):
    call = read(a_chat(max_tokens=asked))
    assert call.output == 2**31 - 1
    assert (
        sent(a_chat(max_tokens=asked), policy=an_external_policy(), grant=bounded(call.output))["max_tokens"]
        == call.output
    )


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ({"prompt": "a"}, 1),
        ({"prompt": ["a", "b", "c"], "n": 2}, 6),
        ({"prompt": [1, 2, 3], "best_of": 4}, 4),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": []}, 1),
    ],
)
def test_every_prompt_and_every_choice_is_an_answer(body, answers):
    assert read({"model": "m", **body}, COMPLETIONS).answers == answers


def test_a_completion_without_bound_makes_sixteen_tokens():
    assert read({"model": "m", "prompt": "a"}, COMPLETIONS).output == 16


def test_a_prompt_is_bounded_by_its_bytes_and_by_the_context():
    small, large = read(a_chat("a", max_tokens=5)), read(a_chat("a" * 9000, max_tokens=5))
    assert small.claim() == Claim(small.body.size + 64, 5, 1, 2048)
    assert large.claim() == Claim(2048, 5, 1, 2048)
    assert large.claim(exact=1500) == Claim(1500, 5, 1, 2048)


def test_tools_leave_room_for_what_templates_say_about_them():
    call = read(a_chat(max_tokens=5, tools=[{"type": "function"}]))
    assert call.body.size + 64 + 256 <= call.claim().prompt <= call.body.size + 64 + 256 + 32


@pytest.mark.parametrize("body", [{"messages": IMAGE}, {"chat_template": "{% for i in range(9) %}x{% endfor %}"}])
def test_what_bytes_do_not_bound_takes_the_whole_context(body):
    assert read(a_chat() | body).claim().prompt == 2048


def test_what_nothing_bounds_is_not_guessed():
    assert read(a_chat() | {"messages": IMAGE}, policy=an_external_policy()).claim() is None


def test_an_image_inside_a_tools_result_is_found():
    result = {"type": "tool_result", "content": [{"type": "image", "source": {}}]}
    call = read(a_chat() | {"messages": [{"role": "user", "content": [result]}]}, MESSAGES)
    assert not call.bounded


def test_only_the_model_changes_where_nothing_else_has_to():
    raw = b'{ "messages": [ ], "model" : "gpt-4o",  "temperature":1.0}'
    call = calls.read(paths.endpoint(CHAT), Body(raw), Routes(a_policy(URL)))
    assert calls.rewritten(call, FREE) == raw.replace(b'"gpt-4o"', b'"base"')


def test_a_route_without_a_model_passes_the_callers_name():
    assert sent(a_chat(), policy=an_external_policy())["model"] == "gpt-4o"


def test_a_bound_is_written_where_none_was():
    assert sent(a_chat(), grant=bounded(30))["max_tokens"] == 30
    assert sent(a_chat(), grant=bounded(30), policy=an_external_policy())["max_completion_tokens"] == 30
    assert sent(a_chat(max_tokens=None), grant=bounded(30))["max_tokens"] == 30
    assert sent({"model": "m", "prompt": "a"}, COMPLETIONS, bounded(12))["max_tokens"] == 12


def test_a_bound_that_is_too_large_is_lowered_under_the_callers_name_for_it():
    body = sent(a_chat(max_completion_tokens=90, max_tokens=20), grant=bounded(30))
    assert (body["max_completion_tokens"], body["max_tokens"]) == (30, 20)


def test_a_bound_beyond_the_engines_context_is_lowered_to_it_for_the_engine_would_refuse_it():
    assert sent(a_chat(max_tokens=128_000))["max_tokens"] == 2048
    assert sent(a_chat(max_tokens=128_000), MESSAGES, bounded(128_000))["max_tokens"] == 2048
    assert sent(a_chat(max_tokens=128_000), policy=an_external_policy())["max_tokens"] == 128_000


def test_usage_is_asked_for_in_every_stream_whatever_the_caller_says():
    options = {"include_usage": False, "other": 1}
    assert sent(a_chat(stream=True, stream_options=options))["stream_options"] == {"include_usage": True, "other": 1}
    assert "stream_options" not in sent(a_chat())
    assert "stream_options" not in sent(a_chat(stream=True, max_tokens=1), MESSAGES)


def test_a_running_count_is_asked_for_under_a_token_limit_of_our_own_engines():
    wanted = {"include_usage": True, "continuous_usage_stats": True}
    assert sent(a_chat(stream=True), grant=bounded(9))["stream_options"] == wanted
    outside = sent(a_chat(stream=True), grant=bounded(9), policy=an_external_policy())
    assert outside["stream_options"] == {"include_usage": True}


def test_no_running_count_is_asked_for_several_answers_for_it_would_be_no_sum():
    options = sent(a_chat(stream=True, n=2), grant=bounded(9))["stream_options"]
    assert options == {"include_usage": True}


def test_a_model_without_a_route_is_unknown():
    with pytest.raises(UnknownModel):
        read(a_chat(), policy=a_policy(URL, routes=(a_route("claude-*"),)))


def test_a_backend_that_speaks_another_protocol_is_named_with_its_own():
    with pytest.raises(WrongProtocol, match=r"OpenAI protocol, .* speaks Anthropic only"):
        read(a_chat(), policy=an_external_policy(api.WireProtocol.ANTHROPIC))


def responses(**body):
    return read({"model": "m", "input": "hi", **body}, RESPONSES)


def test_a_response_is_bounded_under_its_own_name_and_asked_for_no_usage_chunk():
    assert responses(max_output_tokens=9).output == 9
    body = sent({"model": "m", "input": "hi", "stream": True}, RESPONSES, bounded(30))
    assert body == {"max_output_tokens": 30, "model": "base", "input": "hi", "stream": True}


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "resp_1"}, {"conversation": "conv_1"}, {"prompt": {"id": "pmpt_1"}},
        {"input": [{"type": "item_reference", "id": "msg_1"}]}, {"input": [{"id": "msg_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://example.test/a.png"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]}]},
        {"input": [{"type": "web_search_call", "id": "ws_1"}]},
    ],
)  # fmt: skip
def test_a_response_whose_prompt_lies_elsewhere_takes_the_whole_context(body):
    call = responses(**body)
    assert not call.bounded
    assert call.claim().prompt == 2048


@pytest.mark.parametrize(
    "asked",
    [
        "hi",
        [{"role": "user", "content": "hi"}],
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}],
        [{"type": "function_call_output", "call_id": "c", "output": "7"}],
        [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"}],
    ],
)
def test_a_response_whose_prompt_is_text_is_bounded_by_its_bytes(asked):
    assert responses(input=asked).bounded


@pytest.mark.parametrize(
    ("asked", "prompts", "is_bounded"),
    [
        ("a", 1, True),
        (["a", "b"], 2, True),
        ([1, 2], 1, True),
        ([[1], [2, 3]], 2, True),
        ([{"role": "user"}], 1, False),
    ],
)
def test_embeddings_have_prompts_and_no_output(asked, prompts, is_bounded):
    call = read({"model": "m", "input": asked}, EMBEDDINGS)
    assert (call.prompts, call.output, call.bounded) == (prompts, 0, is_bounded)
    assert sent({"model": "m", "input": asked}, EMBEDDINGS, bounded(0)) == {"model": "base", "input": asked}


def test_counting_is_free_and_nothing_else_is():
    assert read(a_chat(), "/v1/messages/count_tokens").is_free
    assert not read(a_chat(max_tokens=1), MESSAGES).is_free


def test_the_engine_counts_what_it_would_render():
    assert json.loads(calls.tokenize_body(read(a_chat("hi", tools=[], temperature=1)))) == {
        "model": "base",
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [],
    }
    assert json.loads(calls.tokenize_body(read({"model": "m", "prompt": "hi"}, COMPLETIONS)))["prompt"] == "hi"
    asked = json.loads(calls.tokenize_body(read(a_chat("hi", system="Be short."), MESSAGES)))
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    asked = json.loads(calls.tokenize_body(responses(instructions="Be short.")))
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert json.loads(calls.tokenize_body(read({"model": "m", "input": "hi"}, EMBEDDINGS)))["prompt"] == "hi"


def test_the_engine_is_not_asked_for_what_it_would_render_otherwise():
    assert calls.tokenize_body(read({"model": "m", "prompt": ["a", "b"]}, COMPLETIONS)) is None
    assert calls.tokenize_body(read(a_chat(tools=[{"name": "f"}]), MESSAGES)) is None
    assert calls.tokenize_body(responses(previous_response_id="resp_1")) is None
    assert calls.tokenize_body(responses(input=[{"type": "function_call"}])) is None
    assert calls.tokenize_body(read({"model": "m", "input": ["a"]}, EMBEDDINGS)) is None
