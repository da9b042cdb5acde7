"""A JSON text that would take too much memory is known before it is parsed; what its strings hold costs nothing."""

import pytest
from agenttype_runtime.json_guard import MOST_PARTS, has_too_many_parts, strict_decoder

MANY = MOST_PARTS + 1


@pytest.mark.parametrize("part", [b"{}", b"[]", b"0", b'""', b'"a":0', b"[[]]", b'{"a":1}', b'"\\""', b'"\\\\"'])
def test_more_parts_than_anybody_needs_are_too_many(part):
    assert has_too_many_parts(b"[" + b",".join([part] * MANY) + b"]")


@pytest.mark.parametrize("text", [b",", b"{}", b"[", b":", b'\\"', b'\\\\\\",', b"\\\\"])
def test_what_stands_in_a_string_is_no_part(text):
    assert not has_too_many_parts(b'{"content":"' + text * MANY + b'"}')


def test_as_many_as_allowed_are_not_too_many():
    assert not has_too_many_parts(b"[" + b",".join([b"0"] * MOST_PARTS) + b"]")


def test_a_string_without_its_end_is_taken_for_parts():
    assert has_too_many_parts(b'["' + b"," * MANY)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', "[NaN]", "[Infinity]", "[1e999]", "{", ""])
def test_what_two_readers_could_read_differently_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 — callers catch just this
        strict_decoder().decode(text)


def test_the_same_name_in_two_objects_is_no_repetition():
    assert strict_decoder().decode('{"a":{"a":1}}') == {"a": {"a": 1}}
