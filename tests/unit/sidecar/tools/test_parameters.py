"""Arguments that also travel as header fields."""

import pytest
from agenttype_sidecar.tools.mcp import parameters

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}},
        "free": {"type": "string"},
    },
}


def test_fields_are_written_from_the_arguments():
    arguments = {"region": "eu", "count": 42, "deep": {"dry": True}, "free": "x"}

    assert parameters.fields(SCHEMA, arguments) == [
        (b"mcp-param-region", b"eu"),
        (b"mcp-param-count", b"42"),
        (b"mcp-param-dry", b"true"),
    ]


@pytest.mark.parametrize("value", ["Köln", " eu", "a\nb", "=?base64?ZXU=?="])
def test_what_would_not_arrive_as_it_is_is_encoded(value):
    ((_, said),) = parameters.fields(SCHEMA, {"region": value})

    assert said.startswith(b"=?base64?")


@pytest.mark.parametrize(
    ("arguments", "incoming"),
    [
        ({"region": "eu"}, [(b"mcp-param-region", b"eu")]),
        ({"region": "eu"}, [(b"mcp-param-region", b"=?base64?ZXU=?=")]),
        ({"region": "eu"}, []),
        ({"count": 42.0}, [(b"mcp-param-count", b"42")]),
        ({}, [(b"mcp-param-other", b"x")]),
    ],
)
def test_fields_that_say_what_the_body_says_agree(arguments, incoming):
    assert parameters.agrees(SCHEMA, arguments, incoming)


@pytest.mark.parametrize(
    ("arguments", "incoming"),
    [
        ({"region": "us"}, [(b"mcp-param-region", b"eu")]),
        ({}, [(b"mcp-param-region", b"eu")]),
        ({"region": None}, [(b"mcp-param-region", b"eu")]),
        ({"region": "eu"}, [(b"mcp-param-region", b"eu"), (b"mcp-param-region", b"us")]),
        ({"region": "eu"}, [(b"mcp-param-region", b"=?base64?!?=")]),
        ({"region": ["eu"]}, [(b"mcp-param-region", b"eu")]),
        ("eu", [(b"mcp-param-region", b"eu")]),
    ],
)
def test_fields_that_say_something_else_do_not(arguments, incoming):
    assert not parameters.agrees(SCHEMA, arguments, incoming)


@pytest.mark.parametrize("schema", [None, [], {"properties": []}, {"properties": {"region": {"x-mcp-header": "a b"}}}])
def test_a_schema_that_says_nothing_asks_for_nothing(schema):
    assert parameters.fields(schema, {"region": "eu"}) == []
