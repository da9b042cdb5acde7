import json

import pytest
from agenttype_sidecar.llm import paths, tokenize
from agenttype_sidecar.llm.body import Body

CHAT, COMPLETIONS, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"
RESPONSES = "/v1/responses"


def a_body(**members):
    return Body(json.dumps({"model": "m", **members}).encode())


def counted(path=CHAT, **members):
    asked = tokenize.question(a_body(**members), paths.endpoint(path), "base")
    return None if asked is None else json.loads(asked)


def test_the_engine_counts_what_members_of_its_own_put_into_the_template():
    asked = counted(messages=[], documents=[{"text": "a"}], reasoning_effort="high", mm_processor_kwargs={"a": 1})
    assert asked["chat_template_kwargs"] == {
        "documents": [{"text": "a"}], "reasoning_effort": "high", "enable_thinking": True,
    }  # fmt: skip
    assert asked["mm_processor_kwargs"] == {"a": 1}


@pytest.mark.parametrize(("path", "name"), [(MESSAGES, "messages"), (RESPONSES, "input")])
def test_variables_of_the_template_are_counted_on_every_path(path, name):
    turns = [{"role": "user", "content": "a"}]
    asked = counted(path, chat_template_kwargs={"a": "b" * 99}, **{name: turns})
    assert asked["chat_template_kwargs"] == {"a": "b" * 99}


def test_what_the_engine_does_not_count_is_added_to_its_count():
    body = a_body(messages=[], response_format={"type": "json_schema"}, tool_choice=None)
    assert tokenize.uncounted(body) > len('{"type": "json_schema"}') + 256
    assert tokenize.uncounted(a_body(messages=[])) == 0


@pytest.mark.parametrize(
    "members", [{"prompt": "a", "prompt_embeds": "AAAA"}, {"prompt": "a", "padding": "max_length"}]
)
def test_the_engine_is_not_asked_where_it_would_count_something_else(members):
    assert counted(COMPLETIONS, **members) is None
