import json

import pytest
from agenttype_sidecar.llm import paths, prompt_bound
from agenttype_sidecar.llm.body import Body
from hypothesis import given
from hypothesis import strategies as st

CHAT, COMPLETIONS, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"
RESPONSES, EMBEDDINGS = "/v1/responses", "/v1/embeddings"
URL = "https://example.test/a.png"


def a_body(**members):
    return Body(json.dumps({"model": "m", **members}).encode())


def is_all(path=CHAT, **members):
    return prompt_bound.is_all_text(a_body(**members), paths.endpoint(path))


def said(part):
    return [{"role": "user", "content": [{"type": "text", "text": "look"}, part]}]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": URL}},
        {"image_url": URL},
        {"type": "text", "text": "a", "uuid": "1", "image_url": {"url": URL}},
        {"type": None, "video_url": URL},
        {"prompt_embeds": "AAAA"},
        {"type": "tool_reference", "name": "f"},
        {"type": "document", "source": {"type": "url", "url": URL}},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "tool_result", "content": [{"image_url": URL}]},
        {"type": ["text"]},
        7,
    ],
)
def test_a_part_that_may_be_more_than_text_is_more_whatever_its_type_says(part):
    assert not is_all(messages=said(part))


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]},
        {"messages": [{"role": "user", "content": {"type": "image_url"}}]},
        {"messages": [], "system": [{"type": "image", "source": {}}]},
        {"messages": [], "chat_template_kwargs": {"eos_token": "a long text, written after every turn"}},
        {"messages": [], "chat_template_kwargs": {"documents": [{}]}},
        {"messages": [], "chat_template_kwargs": "x"},
        {"messages": [], "container": {"skills": [{}]}},
    ],
)
def test_what_comes_from_elsewhere_or_is_written_often_is_not_all_in_the_body(members):
    assert not is_all(MESSAGES, **members)


def test_numbers_in_the_place_of_text_are_not_all_in_the_body():
    assert not is_all(COMPLETIONS, prompt_embeds="AAAA")
    assert not is_all(EMBEDDINGS, input="a", padding="max_length")


def test_a_prompt_that_is_an_object_may_be_anything():
    assert not is_all(COMPLETIONS, prompt=[{"prompt": "a", "multi_modal_data": URL}])
    assert not is_all(RESPONSES, input={"type": "input_image"})
    assert is_all(COMPLETIONS, prompt=[[1, 2], [3]])


@pytest.mark.parametrize(
    "members",
    [
        {"messages": said("plain"), "chat_template_kwargs": {"enable_thinking": False, "effort": "high", "x": None}},
        {
            "messages": [{"role": "assistant", "content": None, "audio": None}],
            "system": [{"type": "text", "text": "a"}],
        },
        {"messages": said({"type": "tool_result", "content": [{"type": "text", "text": "7"}]})},
    ],
)
def test_plain_text_and_short_variables_are_all_in_the_body(members):
    assert is_all(**members)


def widest(value):
    """As long as any template writes JSON: with blanks and line breaks, two blanks being one token at least."""
    return json.dumps(value, indent=2, ensure_ascii=False)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.sampled_from([1e15, 1e-7, 0.1, 1e22])
    | st.text("aé\n"),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_json_that_a_template_writes_anew_is_held_in_full(value):
    size = len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
    length = len(widest(value).encode()) if value else 0
    tools = Body(json.dumps({"tools": value}, separators=(",", ":"), ensure_ascii=False).encode())
    assert prompt_bound.surplus(tools) >= length - size
    call = {"function": {"name": "f", "arguments": json.dumps(value)}}
    assert prompt_bound.surplus(a_body(messages=[{"tool_calls": [call]}])) >= length - len(json.dumps(value))


def test_numbers_are_held_as_they_are_written_out():
    assert prompt_bound.surplus(Body(b'{"tools":[%s]}' % b",".join([b"1e15"] * 100))) > 100 * 15


@pytest.mark.parametrize("item", [{"type": "function_call", "arguments": "[1e15]"}, {"content": [{"input": {"a": 1}}]}])
def test_calls_of_tools_are_written_anew_in_every_protocol(item):
    assert prompt_bound.surplus(a_body(input=[item])) > 0


def test_json_that_cannot_be_measured_is_bounded_by_nothing():
    assert prompt_bound.surplus(Body(b'{"tools":["\\ud800"]}')) is None


def test_text_alone_is_never_written_longer_than_it_is():
    assert prompt_bound.surplus(a_body(messages=said("a"), tools=[])) == 0
