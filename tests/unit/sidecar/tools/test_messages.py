"""What policy reads in MCP messages, and what it takes out of answers."""

import json

import pytest
from agenttype_sidecar.routing import globs
from agenttype_sidecar.tools.mcp import messages, protocol
from agenttype_sidecar.tools.mcp.messages import McpRefusal

LOOKUPS = globs.glob(["lookup_*"])


def a_call(tool="lookup_norm", **members):
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}, **members}).encode()


def a_list(*names, **result):
    tools = [{"name": name, "outputSchema": {"type": "object"}} for name in names]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools, **result}}).encode()


def test_a_tool_call_names_its_tool():
    assert messages.read(a_call(), None) == ("tools/call", 7, "lookup_norm")


def test_another_message_names_none():
    body = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

    assert messages.read(body, None) == ("notifications/initialized", None, None)


@pytest.mark.parametrize("named", [b"lookup_norm", b"=?base64?bG9va3VwX25vcm0=?="], ids=["plain", "encoded"])
def test_a_header_may_name_the_tool_of_the_body(named):
    assert messages.read(a_call(), named).tool == "lookup_norm"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (a_call(), b"delete_norm"),
        (a_call(), b"=?base64?!?="),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}', None),
        (b'{"method":"tools/list","method":"tools/call"}', None),
        (b"[" + a_call() + b"]", None),
        (a_call(params={"name": 3}), None),
        (a_call(params=["lookup_norm"]), None),
        (a_call(id={"a": 1}), None),
        (a_call(id=True), None),
        (b'{"method":3}', None),
        (b'{"id":NaN}', None),
        (b"[" * 100_000, None),
        (b"not json", None),
        (b"", None),
    ],
    ids=[
        "the header names another tool",
        "the header is no base64",
        "two names",
        "two methods",
        "a batch",
        "a name that is a number",
        "params that are a list",
        "an id that is an object",
        "an id that is a boolean",
        "a method that is a number",
        "a number that is no JSON",
        "nested without end",
        "no JSON",
        "nothing",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body, named):
    with pytest.raises(McpRefusal):
        messages.read(body, named)


def test_a_refusal_is_a_json_rpc_error_with_the_callers_id():
    error = json.loads(McpRefusal(protocol.REFUSED, "tool_not_allowed", "not allowed", 7).body())

    assert error == {
        "jsonrpc": "2.0",
        "id": 7,
        "error": {"code": -32000, "message": "not allowed", "data": {"code": "tool_not_allowed"}},
    }


def test_a_list_shows_only_what_is_allowed_and_keeps_its_schemas():
    found = json.loads(messages.filtered(a_list("lookup_norm", "delete_norm", ttlMs=5), LOOKUPS))

    assert found["result"] == {
        "tools": [{"name": "lookup_norm", "outputSchema": {"type": "object"}}],
        "ttlMs": 5,
    }


def test_a_list_whose_name_is_escaped_is_filtered_too():
    escaped = a_list("delete_norm").replace(b'"tools"', b'"\\u0074ools"')

    assert json.loads(messages.filtered(escaped, LOOKUPS))["result"]["tools"] == []


def test_nothing_allowed_means_nothing_listed():
    assert json.loads(messages.filtered(a_list("a"), globs.glob([])))["result"]["tools"] == []


@pytest.mark.parametrize(
    "message",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"tools"}]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"tools":[{"name":"x"}]}}}',
        b'{"jsonrpc":"2.0","method":"notifications/progress"}',
        b"",
    ],
    ids=["a text", "a tool's own data", "a notification", "nothing"],
)
def test_other_messages_pass_byte_for_byte(message):
    assert messages.filtered(message, LOOKUPS) == message


def test_a_list_that_nobody_can_read_does_not_pass():
    assert messages.filtered(b'{"result":{"tools":[{"name":"delete_norm"}', LOOKUPS) == b""


@pytest.mark.parametrize(
    ("message", "failed"),
    [
        (b'{"id":1,"result":{"isError":true}}', True),
        (b'{"id":1,"error":{"code":-32602}}', True),
        (b'{"id":1,"result":{"isError":false}}', False),
        (b'{"id":1,"result":{"content":[{"text":"\\"error\\""}]}}', False),
    ],
)
def test_a_failed_tool_is_told_from_one_that_worked(message, failed):
    assert messages.failed(message) is failed
