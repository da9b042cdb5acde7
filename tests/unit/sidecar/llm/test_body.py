import json

import pytest
from agenttype_sidecar.errors import MalformedBody
from agenttype_sidecar.llm.body import MAX_DEPTH, Body
from hypothesis import given
from hypothesis import strategies as st

blanks = st.text(alphabet=" \t\n\r", max_size=3)
names = st.one_of(st.sampled_from(["model", "max_tokens", "stream_options", "x", "ü", 'quo"te', "\\", "{"]), st.text())
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(names.filter(lambda name: name.lower() == name), values, max_size=6)
changes = st.dictionaries(names, st.integers() | st.text() | st.dictionaries(st.text(), st.booleans()), max_size=4)


@st.composite
def written(draw: st.DrawFn) -> tuple[bytes, dict]:
    """An object, and its text as somebody with an odd taste for blanks would write it."""
    content = draw(objects)
    ascii_only = draw(st.booleans())
    members = [
        draw(blanks)
        + json.dumps(name, ensure_ascii=ascii_only)
        + draw(blanks)
        + ":"
        + draw(blanks)
        + json.dumps(value, ensure_ascii=ascii_only, indent=draw(st.sampled_from([None, 1])))
        + draw(blanks)
        for name, value in content.items()
    ]
    text = draw(blanks) + "{" + (",".join(members) or draw(blanks)) + "}" + draw(blanks)
    return text.encode("utf-8", "surrogatepass"), content


@given(written())
def test_an_unchanged_body_keeps_every_byte(case):
    raw, content = case
    body = Body(raw)
    assert body.spliced({}) == raw
    assert body.members == content


@given(written(), changes)
def test_a_spliced_body_says_what_the_changed_object_would(case, changes):
    raw, content = case
    assert json.loads(Body(raw).spliced(changes)) == content | changes


@given(written(), changes)
def test_the_text_of_other_members_passes_byte_for_byte(case, changes):
    raw, content = case
    before, after = Body(raw), Body(Body(raw).spliced(changes))
    kept = content.keys() - changes.keys()
    assert {name: _text_of(before, name) for name in kept} == {name: _text_of(after, name) for name in kept}


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"[]", b'"text"', b"1", b"{", b"}", b'{"a"}', b'{"a":}', b'{"a":1,}', b'{"a":1 "b":2}',
        b"{'a':1}", b'{"a":1}{}', b'{"a":1} x', b"{1:2}", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}',
        b'{"a":01}', b'{"a":"\n"}', b'{"a":tru}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"a":"\xc3"}',
        b'{"a":"\xed\xa0\x80"}', b'{"a":' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_what_is_not_one_json_object_is_refused(raw):
    with pytest.raises(MalformedBody):
        Body(raw)


def test_the_same_member_twice_is_refused_for_nobody_knows_which_one_counts():
    with pytest.raises(MalformedBody):
        Body(b'{"max_tokens":1,"max_tokens":100000}')


def test_a_member_twice_under_different_escapes_is_refused_too():
    with pytest.raises(MalformedBody):
        Body(b'{"model":"a","mode\\u006c":"b"}')


@pytest.mark.parametrize("name", ["Model", "MAX_TOKENS", "Stream"])
def test_another_spelling_of_a_governed_member_is_refused(name):
    with pytest.raises(MalformedBody):
        Body(json.dumps({name: 1}).encode())


def test_deep_nesting_is_refused():
    with pytest.raises(MalformedBody):
        Body(b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}")


@pytest.mark.parametrize("closed", [b"", b"}" * 1_000_001])
def test_very_deep_nesting_is_refused_and_breaks_nothing(closed):
    with pytest.raises(MalformedBody):
        Body(b'{"a":' + b'{"a":' * 1_000_000 + closed)


def test_nesting_up_to_the_limit_is_taken():
    assert Body(b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}").members


def test_many_brackets_side_by_side_or_in_texts_are_no_nesting():
    body = Body(json.dumps({"a": [[]] * 1000, "b": '[{"' * 1000}).encode())
    assert len(body.get("a")) == 1000


def _text_of(body: Body, name: str) -> str:
    start, end = body.places[name]
    return body._text[start:end]
