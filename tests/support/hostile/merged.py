"""Messages to all tool servers as one: what is no message, odd names, ids and cursors of all kinds."""

from typing import NamedTuple

from support.hostile.cases import MARK
from support.hostile.payloads import message

_MARK = MARK.decode()


class Message(NamedTuple):
    """A message and what it is answered with: the status, and the code of the error; None: a result, or nothing."""

    name: str
    body: bytes
    status: int = 200
    code: int | None = None


def _ping(identity: str) -> bytes:
    return message(f'"id":{identity},"method":"ping"')


def call(tool: str, more: str = "", identity: str = "7") -> bytes:
    """A call of a tool by its merged name, written as it stands in JSON."""
    return message(f'"id":{identity},"method":"tools/call","params":{{"name":"{tool}"{more}}}')


def _listing(cursor: str) -> bytes:
    return message(f'"id":7,"method":"tools/list","params":{{"cursor":{cursor}}}')


def _notice(method: str, params: str) -> bytes:
    return message(f'"method":"notifications/{method}","params":{params}')


_OK = "old_lookup"
#: What is answered in the session of a caller of the older era.
MESSAGES = [
    Message("a batch", b"[" + _ping("1") + b"]", 400, -32600),
    Message("an empty batch", b"[]", 400, -32600),
    Message("a batch of notices", b"[" + _notice("initialized", "{}") + b"]", 400, -32600),
    Message("two messages", _ping("1") * 2, 400, -32700),
    Message("another version of JSON-RPC", b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, -32600),
    Message("no version of JSON-RPC", b'{"id":1,"method":"ping"}', 400, -32600),
    Message("a version that is a number", b'{"jsonrpc":2.0,"id":1,"method":"ping"}', 400, -32600),
    Message("neither method nor answer", message('"id":1'), 400, -32600),
    Message("nothing but its version", b'{"jsonrpc":"2.0"}', 400, -32600),
    Message("a method and an answer", message('"id":1,"method":"ping","result":{}'), 400, -32600),
    Message("an answer without an id", message('"result":{}'), 400, -32600),
    Message("an answer to nobody", message('"id":99,"result":{}'), 202),
    Message("an error to nobody", message('"id":99,"error":{"code":1,"message":"x"}'), 202),
    Message("params that are an array", message('"id":1,"method":"tools/list","params":[]'), 400, -32600),
    Message("params that are a text", message('"id":1,"method":"tools/list","params":"x"'), 400, -32600),
    Message("params of null", message('"id":1,"method":"ping","params":null')),
    Message("an unknown method", message(f'"id":1,"method":"{_MARK}"'), 200, -32601),
    Message("a method of a megabyte", message(f'"id":1,"method":"{"x" * 2**20}"'), 200, -32601),
    Message("a resource", message('"id":1,"method":"resources/read","params":{"uri":"file:///etc"}'), 200, -32601),
    Message("a request of a server", message('"id":1,"method":"sampling/createMessage"'), 200, -32601),
    Message("a method of the newer era", message('"id":1,"method":"server/discover"'), 200, -32601),
    Message("an id that is null", _ping("null"), 400, -32600),
    Message("an id that is true", _ping("true"), 400, -32600),
    Message("an id that is a fraction", _ping("1.5"), 400, -32600),
    Message("an id that is a whole float", _ping("1.0"), 400, -32600),
    Message("an id that is an object", _ping("{}"), 400, -32600),
    Message("an id that is an array", _ping("[1]"), 400, -32600),
    Message("an id of minus zero", _ping("-0")),
    Message("an id that is empty", _ping('""')),
    Message("an id of four thousand digits", _ping("9" * 4000)),
    Message("an id of ten thousand digits", _ping("9" * 10_000), 400, -32700),
    Message("an id beyond a double", _ping("1e999"), 400, -32700),
    Message("an id with half a pair", _ping('"\\ud800"')),
    Message("an id of a megabyte", _ping(f'"{"x" * 2**20}"')),
    Message("a cursor that is none", _listing('"!"'), 200, -32602),
    Message("a cursor that is a number", _listing("5"), 200, -32602),
    Message("a cursor that is an array", _listing('["a"]'), 200, -32602),
    Message("a cursor that is no UTF-8", _listing('"_-8="'), 200, -32602),
    Message("a cursor beyond ASCII", _listing('"\u00fc"'), 200, -32602),
    Message("a cursor that is empty", _listing('""')),
    Message("a call", call(_OK)),
    Message("a call with no name", message('"id":1,"method":"tools/call","params":{}'), 400, -32600),
    Message("a tool without its server", call("lookup"), 200, -32602),
    Message("a tool of no server", call("_lookup"), 200, -32602),
    Message("a server without a tool", call("old_"), 200, -32602),
    Message("a server in capitals", call("OLD_lookup"), 200, -32602),
    Message("a server of nobody", call(f"{_MARK}_lookup"), 200, -32602),
    Message("a tool that is not allowed", call("old_hidden"), 200, -32000),
    Message("a tool that is not allowed, escaped", call("old\\u005fhidden"), 200, -32000),
    Message("two separators", call("old__lookup"), 200, -32000),
    Message("a separator of another kind", call("old.lookup"), 200, -32602),
    Message("a tool behind another server", call("new_old_lookup"), 200, -32000),
    Message("a path for a tool", call("old_../new_lookup"), 200, -32602),
    Message("a NUL behind a tool", call("old_lookup\\u0000"), 200, -32602),
    Message("digits that are no tool's", call("old_hidden_0123456789"), 200, -32602),
    Message("half a pair for a tool", call("old_\\ud800"), 200, -32602),
    Message("a tool of a megabyte", call("old_" + "x" * 2**20), 200, -32602),
    Message("the name twice", call(_OK, ',"name":"old_hidden"'), 400, -32700),
    Message("the name in another case", call(_OK, ',"Name":"old_hidden"'), 400, -32600),
    Message("an argument twice", call(_OK, ',"arguments":{"a":1,"a":2}'), 400, -32700),
    Message("an argument beyond a double", call(_OK, ',"arguments":{"a":1e999}'), 400, -32700),
    Message("an argument with half a pair", call(_OK, ',"arguments":{"\\ud800":"\\udfff"}')),
    Message("arguments that are nested deeply", call(_OK, f',"arguments":{{"a":{"[" * 900}{"]" * 900}}}')),
    Message("arguments that never end", call(_OK, f',"arguments":{{"a":{"[" * 100_000}'), 400, -32700),
    Message("a million empty objects", call(_OK, f',"arguments":{{"a":[{"{}," * 1_000_000}0]}}'), 400, -32600),
    Message("notes that are an array", call(_OK, ',"_meta":[1]')),
    Message("a progress token that is an object", call(_OK, ',"_meta":{"progressToken":{"a":[1]}}')),
    Message("a progress token of many digits", call(_OK, f',"_meta":{{"progressToken":{"9" * 3000}}}')),
    Message(
        "words of the newer era", call(_OK, ',"_meta":{"io.modelcontextprotocol/protocolVersion":[1]}'), 400, -32602
    ),
    Message("a task", call(_OK, ',"task":{"ttl":1}')),
    Message("a handshake of no version", message('"id":1,"method":"initialize","params":{"protocolVersion":[1]}')),
    Message("a handshake of the future", message('"id":1,"method":"initialize","params":{"protocolVersion":"9999"}')),
    Message("a cancelling of nothing", _notice("cancelled", "{}"), 202),
    Message("a cancelling of what never was", _notice("cancelled", '{"requestId":99}'), 202),
    Message("a cancelling of an object", _notice("cancelled", '{"requestId":{}}'), 202),
    Message("a cancelling of true", _notice("cancelled", '{"requestId":true}'), 202),
    Message("progress of nothing", _notice("progress", '{"progressToken":1,"progress":1e308}'), 202),
    Message("a notice of nobody", _notice(_MARK, "{}"), 202),
]
