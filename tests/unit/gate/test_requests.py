"""What the gate reads of a request: its path, its token, its model."""

import contextlib
import json

import pytest
from agenttype_api.policy import WireProtocol
from agenttype_gate import allowed_paths, error_responses, model_in_body
from agenttype_gate.errors import BadBody, NotACaller, Refusal, Warming
from hypothesis import given
from hypothesis import strategies as st

POSTS = (
    b"/v1/chat/completions",
    b"/v1/completions",
    b"/v1/responses",
    b"/v1/embeddings",
    b"/v1/messages",
    b"/v1/messages/count_tokens",
    b"/tokenize",
)


@pytest.mark.parametrize("path", POSTS)
def test_the_allow_list_takes_posts(path):
    assert allowed_paths.allowed("POST", path)
    assert not allowed_paths.allowed("GET", path)


def test_the_list_of_models_takes_gets():
    assert allowed_paths.allowed("GET", b"/v1/models")
    assert not allowed_paths.allowed("POST", b"/v1/models")


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", b"/v1/responses/resp_1", True),
        ("DELETE", b"/v1/responses/resp_1", True),
        ("POST", b"/v1/responses/resp_1", False),
        ("POST", b"/v1/responses/resp_1/cancel", True),
        ("GET", b"/v1/responses/resp_1/cancel", False),
        ("GET", b"/v1/responses/resp_1/input_items", True),
        ("GET", b"/v1/responses/../models", False),
        ("GET", b"/v1/responses/resp%2f1", False),
        ("GET", b"/v1/responses/", False),
        ("GET", b"/v1/responses/resp_1/other", False),
    ],
)
def test_stored_responses_have_methods_of_their_own(method, path, may):
    assert allowed_paths.allowed(method, path) == may


@given(st.binary(max_size=60))
def test_no_other_path_is_allowed(path):
    assert allowed_paths.allowed("POST", path) == (path in POSTS)


@pytest.mark.parametrize("path", [b"/v1/load_lora_adapter", b"/v1/chat/completions/", b"/V1/models", b"/detokenize"])
def test_what_only_looks_allowed_is_not(path):
    assert not allowed_paths.allowed("POST", path)
    assert not allowed_paths.allowed("GET", path)


def test_the_model_is_read_wherever_it_stands():
    assert model_in_body.model(b' {"messages": [{"model": "inner"}], "model": "outer"}\n') == "outer"


def test_members_that_are_doubled_below_the_top_are_the_callers_own_business():
    assert model_in_body.model(b'{"tools": {"a": 1, "a": 2}, "model": "m"}') == "m"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.text(min_size=1))
def test_the_model_that_is_judged_is_the_one_that_any_reader_reads(members, name):
    assert model_in_body.model(json.dumps(members | {"model": name}).encode()) == name


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(raw):
    with contextlib.suppress(BadBody):
        assert model_in_body.model(raw) == json.loads(raw)["model"]


@pytest.mark.parametrize("raw", [b'{"model": "a", "\\u006dodel": "b"}', b'{"x": 1, "x": 2, "model": "a"}'])
def test_a_member_said_twice_is_refused(raw):
    with pytest.raises(BadBody):
        model_in_body.model(raw)


def test_a_body_that_would_take_too_much_memory_is_refused_unread():
    with pytest.raises(BadBody, match="members, elements"):
        model_in_body.model(b'{"model":"a","x":[' + b"{}," * 300_000 + b"{}]}")


def test_a_refusal_that_repeating_cannot_change_says_so():
    status, headers, raw = error_responses.refusal(NotACaller("no"), WireProtocol.OPENAI)
    assert status == 403
    assert (b"x-should-retry", b"false") in headers
    assert b"retry-after" not in dict(headers)
    assert json.loads(raw)["error"] == {
        "message": "no",
        "type": "permission_error",
        "param": None,
        "code": "caller_not_allowed",
    }


def test_warming_says_when_to_come_back_and_why():
    status, headers, raw = error_responses.refusal(Warming("soon"), WireProtocol.ANTHROPIC)
    assert status == 503
    assert {b"retry-after": b"1", b"x-agenttype-reason": b"warming"}.items() <= dict(headers).items()
    assert b"x-should-retry" not in dict(headers)
    assert json.loads(raw) == {"type": "error", "error": {"type": "overloaded_error", "message": "soon"}}


def test_every_refusal_has_a_status_a_reason_and_a_kind():
    kinds = Refusal.__subclasses__()
    assert len({kind.reason for kind in kinds}) == len(kinds)
    assert {kind.status // 100 for kind in kinds} == {4, 5}
