"""Bodies that two readers could understand differently, or that ask for what nobody should get."""

import json
from typing import Any, NamedTuple

from support.hostile.cases import MARK

_MARK = MARK.decode()


class Payload(NamedTuple):
    """A body that is refused, with the status of the refusal."""

    name: str
    body: bytes
    status: int = 400


class Passing(NamedTuple):
    """A body that is forwarded: the members that we set arrive with these values, all others byte for byte."""

    name: str
    body: bytes
    owned: dict[str, Any]


def members(text: str) -> bytes:
    """A chat call with `text` in front of its own members."""
    return f'{{{text},"model":"gpt-4o","messages":[{{"role":"user","content":"hello"}}]}}'.encode()


def _nested(opening: str, closing: str, depth: int) -> str:
    return opening * depth + "1" + closing * depth


#: Bodies that are refused on every path, and why in the caller's protocol.
BROKEN = [
    Payload("nothing", b""),
    Payload("blanks", b" \n"),
    Payload("an array", b"[]"),
    Payload("a text", json.dumps(_MARK).encode()),
    Payload("a number", b"1"),
    Payload("null", b"null"),
    Payload("an array around a call", b"[" + members('"n":1') + b"]"),
    Payload("two objects", members('"n":1') * 2),
    Payload("an object and a word", members('"n":1') + MARK),
    Payload("an object and a NUL", members('"n":1') + b"\x00"),
    Payload("an object that is cut", members('"n":1')[:-1]),
    Payload("a comma too many", members('"n":1,')),
    Payload("a comma at the end", members('"n":1')[:-1] + b",}"),
    Payload("a comment", members('"n":1/* */')),
    Payload("a line comment", b"// x\n" + members('"n":1')),
    Payload("single quotes", members("'n':1")),
    Payload("a bare name", members("n:1")),
    Payload("a byte order mark", b"\xef\xbb\xbf" + members('"n":1')),
    Payload("UTF-16", members('"n":1').decode().encode("utf-16")),
    Payload("UTF-16 without a mark", members('"n":1').decode().encode("utf-16-le")),
    Payload("UTF-32", members('"n":1').decode().encode("utf-32")),
    Payload("Latin-1", '{"model":"gpt-4o","user":"ü"}'.encode("latin-1")),
    Payload("overlong UTF-8", b'{"model":"gpt-4o","user":"\xc0\xae"}'),
    Payload("an encoded surrogate", b'{"model":"gpt-4o","user":"\xed\xa0\x80"}'),
    Payload("a cut character", b'{"model":"gpt-4o","user":"\xe2\x82"}'),
    Payload("a control character in a text", b'{"model":"gpt-4o","user":"a\nb"}'),
    Payload("a control character in a name", b'{"model":"gpt-4o","us\ner":"a"}'),
    Payload("an unknown escape", b'{"model":"gpt-4o","user":"\\x41"}'),
    Payload("a cut escape", b'{"model":"gpt-4o","user":"\\u12"}'),
    Payload("NaN", members('"temperature":NaN')),
    Payload("Infinity", members('"temperature":Infinity')),
    Payload("minus Infinity", members('"temperature":-Infinity')),
    Payload("a number beyond a double", members('"temperature":1e999')),
    Payload("a number beyond a double, nested", members('"stream":true,"stream_options":{"x":-1e999}')),
    Payload("a number of ten thousand digits", members('"seed":' + "9" * 10_000)),
    Payload("a number of ten megabytes", members('"seed":' + "9" * 7_000_000)),
    Payload("a number with a leading zero", members('"seed":01')),
    Payload("a number with a plus", members('"seed":+1')),
    Payload("a number in hexadecimal", members('"seed":0x1')),
    Payload("a number that ends with a point", members('"seed":1.')),
    Payload("True", members('"stream":True')),
    Payload("depth of 101 arrays", members('"x":' + _nested("[", "]", 101))),
    Payload("depth of 100,000 arrays", members('"x":' + _nested("[", "]", 100_000))),
    Payload("depth of 100,000 objects", members('"x":' + _nested('{"a":', "}", 100_000))),
    Payload("depth of a million that never closes", b'{"x":' + b"[" * 1_000_000),
    Payload("more than two million empty objects", members('"x":[' + "{}," * 2_600_000 + "{}]")),
    Payload("more than two million empty arrays", members('"x":[' + "[]," * 2_600_000 + "[]]")),
    Payload("four million zeros", members('"x":[' + "0," * 4_000_000 + "0]")),
    Payload("half a million members", members('"x":{' + ",".join(f'"{name}":0' for name in range(500_000)) + "}")),
    Payload("the model twice", members(f'"model":"{_MARK}"')),
    Payload("the model twice and equal", members('"model":"gpt-4o"')),
    Payload("the model twice, once escaped", members(f'"mod\\u0065l":"{_MARK}"')),
    Payload("the model twice, all escaped", members(f'"\\u006d\\u006F\\u0064\\u0065\\u006c":"{_MARK}"')),
    Payload("the messages twice", members('"messages":[]')),
    Payload("max_tokens twice", members('"max_tokens":1,"max_tokens":9999')),
    Payload("n twice", members('"n":1,"n":64')),
    Payload("stream twice", members('"stream":true,"stream":false')),
    Payload("a member nobody reads twice", members('"user":"a","user":"b"')),
    Payload(
        "include_usage twice", members('"stream":true,"stream_options":{"include_usage":false,"include_usage":true}')
    ),
    Payload(
        "a message's content twice", b'{"model":"gpt-4o","messages":[{"role":"user","content":"a","content":"b"}]}'
    ),
    Payload("a member of a tool twice", members('"tools":[{"type":"function","type":"x"}]')),
    Payload("the model in capitals", members('"MODEL":"x"')),
    Payload("Max_Tokens", members('"Max_Tokens":9999')),
    Payload("stream with a long s", members('"\u017ftream":true')),
    Payload("max_tokens with a Kelvin sign", members('"max_to\u212aens":9999')),
    Payload("messages with long s, escaped", members('"me\\u017fsages":[]')),
    Payload("no model", b'{"messages":[]}'),
    Payload("a model that is null", b'{"model":null,"messages":[]}'),
    Payload("a model that is empty", b'{"model":"","messages":[]}'),
    Payload("a model that is a number", b'{"model":1,"messages":[]}'),
    Payload("a model that is an array", f'{{"model":["{_MARK}"],"messages":[]}}'.encode()),
    Payload("a model that is an object", f'{{"model":{{"id":"{_MARK}"}},"messages":[]}}'.encode()),
    Payload("a model that is true", b'{"model":true,"messages":[]}'),
    Payload("a foreign model", f'{{"model":"{_MARK}","messages":[]}}'.encode(), 404),
    Payload("another tenant's adapter", b'{"model":"team-b/green","messages":[]}', 404),
    Payload("the served name itself", b'{"model":"base","messages":[]}', 404),
    Payload("a model that is a way out", b'{"model":"../base","messages":[]}', 404),
    Payload("a model that is a glob", b'{"model":"*","messages":[]}', 404),
    Payload("a model that is a pattern", b'{"model":"gpt-4.","messages":[]}', 404),
    Payload("a model with a NUL", b'{"model":"gpt-4o\\u0000","messages":[]}', 404),
    Payload("a model with a line end", b'{"model":"gpt-4o\\n","messages":[]}', 404),
    Payload("a model with a blank", b'{"model":"gpt-4o ","messages":[]}', 404),
    Payload("a model in capitals", b'{"model":"GPT-4o","messages":[]}', 404),
    Payload("a model in wide letters", '{"model":"\uff47\uff50\uff54-4o","messages":[]}'.encode(), 404),
    Payload("a model with half a surrogate pair", b'{"model":"gpt-4o\\ud800","messages":[]}', 404),
    Payload("a model with an invisible character", '{"model":"gpt-4o\u200b","messages":[]}'.encode(), 404),
    Payload("a model of a megabyte", f'{{"model":"{"x" * 1_000_000}","messages":[]}}'.encode(), 404),
    Payload("max_tokens negative", members('"max_tokens":-1')),
    Payload("max_tokens a fraction", members('"max_tokens":5.5')),
    Payload("max_tokens a whole float", members('"max_tokens":5.0')),
    Payload("max_tokens with an exponent", members('"max_tokens":1e1')),
    Payload("max_tokens a text", members('"max_tokens":"5"')),
    Payload("max_tokens true", members('"max_tokens":true')),
    Payload("max_tokens false", members('"max_tokens":false')),
    Payload("max_tokens an array", members('"max_tokens":[5]')),
    Payload("max_tokens an object", members('"max_tokens":{}')),
    Payload("stream a text", members('"stream":"true"')),
    Payload("stream a number", members('"stream":1')),
    Payload("stream an array", members('"stream":[]')),
]

#: Refused on the paths of one protocol only.
BROKEN_OPENAI = [
    Payload("n zero", members('"n":0')),
    Payload("n negative", members('"n":-3')),
    Payload("n a fraction", members('"n":1.5')),
    Payload("n a text", members('"n":"2"')),
    Payload("n true", members('"n":true')),
    Payload("best_of zero", members('"best_of":0')),
    Payload("best_of a text", members('"best_of":"2"')),
    Payload("stream_options a text", members('"stream":true,"stream_options":"x"')),
    Payload("stream_options an array", members('"stream":true,"stream_options":[]')),
    Payload("stream_options true", members('"stream":true,"stream_options":true')),
]

#: Refused where chats are made.
BROKEN_CHATS = [
    Payload("max_completion_tokens negative", members('"max_completion_tokens":-1')),
    Payload("max_completion_tokens a text", members('"max_completion_tokens":"1"')),
    Payload("max_completion_tokens beyond max_tokens and wrong", members('"max_tokens":5,"max_completion_tokens":1e3')),
]

_OURS = {"model": "base"}
_COUNTED = {"include_usage": True, "continuous_usage_stats": True}
_IMAGE = """{"type":"image_url","image_url":{"url":"http://169.254.169.254/latest/meta-data"}}"""


def _chat(text: str) -> bytes:
    return members('"max_tokens":4,' + text)


#: Forwarded by `/v1/chat/completions`.
PASSING = [
    Passing("odd blanks", b' \r\n{\t"max_tokens" :4 , "model"\n:\t"gpt-4o" ,"messages" : [ ] } \n', _OURS),
    Passing("the model escaped", b'{"max_tokens":4,"mod\\u0065l":"gpt\\u002d4o","messages":[]}', _OURS),
    Passing("an escaped slash", _chat('"user":"a\\/b"'), _OURS),
    Passing("half a surrogate pair", _chat('"user":"\\ud800"'), _OURS),
    Passing("a NUL in a text", _chat('"user":"\\u0000"'), _OURS),
    Passing(
        "names that look alike", _chat('"m\u043edel":"x","model ":"y","\\u200bmodel":"z","model\\u0000":"w"'), _OURS
    ),
    Passing("a member without a name", _chat('"":1'), _OURS),
    Passing("a name of a megabyte", _chat(f'"{"x" * 1_000_000}":1'), _OURS),
    Passing("a thousand members", _chat(",".join(f'"m{number}":{number}' for number in range(1000))), _OURS),
    Passing("depth of 99 arrays", _chat('"x":' + _nested("[", "]", 98)), _OURS),
    Passing("a table of a million cells in a text", _chat(f'"user":"{"1,{}[2]:" * 500_000}"'), _OURS),
    Passing("many brackets in a text", _chat(f'"user":"{"[" * 100_000}"'), _OURS),
    Passing("a number beyond 64 bits", _chat('"seed":123456789012345678901234567890'), _OURS),
    Passing("a number with many digits", _chat('"temperature":0.1000000000000000055511151231257827'), _OURS),
    Passing("a number that is nearly nothing", _chat('"temperature":1e-999'), _OURS),
    Passing("minus zero", _chat('"temperature":-0'), _OURS),
    Passing(
        "null wherever we look",
        _chat('"n":null,"best_of":null,"stream":null,"stream_options":null,"tools":null'),
        _OURS,
    ),
    Passing("max_tokens zero", members('"max_tokens":0'), _OURS),
    Passing("max_tokens beyond 63 bits", members('"max_tokens":9223372036854775808'), _OURS | {"max_tokens": None}),
    Passing("max_tokens absent", members('"user":"a"'), _OURS | {"max_tokens": None}),
    Passing("max_tokens null", members('"max_tokens":null'), _OURS | {"max_tokens": None}),
    Passing("two bounds that differ", members('"max_tokens":4,"max_completion_tokens":900'), _OURS),
    Passing("n of 16384", _chat('"n":16384'), _OURS),
    Passing("best_of beyond n", _chat('"n":1,"best_of":20'), _OURS),
    Passing("log-probabilities", _chat('"logprobs":true,"top_logprobs":20,"prompt_logprobs":20'), _OURS),
    Passing("an image from the metadata service", _chat(f'"x":1,"messages2":[{_IMAGE}]'), _OURS),
    Passing("stream options without a stream", _chat('"stream_options":{"include_usage":false}'), _OURS),
    Passing("a stream", _chat('"stream":true'), _OURS | {"stream_options": _COUNTED}),
    Passing(
        "a stream with null options", _chat('"stream":true,"stream_options":null'), _OURS | {"stream_options": _COUNTED}
    ),
    Passing(
        "a stream that refuses usage",
        _chat('"stream":true,"stream_options":{"include_usage":false}'),
        _OURS | {"stream_options": _COUNTED},
    ),
    Passing(
        "a stream whose usage is a text",
        _chat('"stream":true,"stream_options":{"include_usage":"no"}'),
        _OURS | {"stream_options": _COUNTED},
    ),
    Passing(
        "a stream whose usage is 0",
        _chat('"stream":true,"stream_options":{"include_usage":0}'),
        _OURS | {"stream_options": _COUNTED},
    ),
    Passing(
        "a stream with options of its own",
        _chat('"stream":true,"stream_options":{"x":[1e5,"\\ud800"]}'),
        _OURS | {"stream_options": {"x": [1e5, "\ud800"]} | _COUNTED},
    ),
    Passing("a conversation that is no array", b'{"max_tokens":4,"model":"gpt-4o","messages":{"a":1}}', _OURS),
    Passing("messages that are no objects", b'{"max_tokens":4,"model":"gpt-4o","messages":[1,null,"a",[]]}', _OURS),
    Passing(
        "parts of an unknown kind",
        b'{"max_tokens":4,"model":"gpt-4o","messages":[{"content":[{"type":{}},1,null]}]}',
        _OURS,
    ),
]


def message(text: str) -> bytes:
    """A JSON-RPC message with these members."""
    return f'{{"jsonrpc":"2.0",{text}}}'.encode()


def _call(text: str, identity: str = "7") -> bytes:
    return message(f'"id":{identity},"method":"tools/call","params":{{{text}}}')


_ALLOWED = '"name":"lookup_norm"'
_FORBIDDEN = '"name":"delete_norm"'

#: Messages that reach no tool server, and the status and code of the error that tells so.
BROKEN_MESSAGES = [
    ("nothing", b"", 400, -32700),
    ("a word", MARK, 400, -32700),
    ("a text", json.dumps(_MARK).encode(), 400, -32600),
    ("a batch", b"[" + _call(_FORBIDDEN) + b"]", 400, -32600),
    ("an empty batch", b"[]", 400, -32600),
    ("two messages", _call(_ALLOWED) + _call(_FORBIDDEN), 400, -32700),
    ("a line for each message", _call(_ALLOWED) + b"\n" + _call(_FORBIDDEN), 400, -32700),
    ("a byte order mark", b"\xef\xbb\xbf" + _call(_FORBIDDEN), 400, -32700),
    ("UTF-16", _call(_FORBIDDEN).decode().encode("utf-16"), 400, -32700),
    ("UTF-16 without a mark", _call(_FORBIDDEN).decode().encode("utf-16-le"), 400, -32700),
    ("UTF-32", _call(_ALLOWED).decode().encode("utf-32"), 400, -32700),
    ("invalid UTF-8", _call(_ALLOWED + ',"x":"?"').replace(b"?", b"\xff"), 400, -32700),
    ("depth of 100,000", _call(_ALLOWED + ',"x":' + _nested("[", "]", 100_000)), 400, -32700),
    ("a million empty objects", _call(_ALLOWED + ',"arguments":{"x":[' + "{}," * 1_000_000 + "{}]}"), 400, -32600),
    ("NaN", _call(_ALLOWED + ',"x":NaN'), 400, -32700),
    ("an id of ten thousand digits", _call(_ALLOWED, "9" * 10_000), 400, -32700),
    ("the name twice", _call(f"{_ALLOWED},{_FORBIDDEN}"), 400, -32700),
    ("the name twice, once escaped", _call(_ALLOWED + ',"n\\u0061me":"delete_norm"'), 400, -32700),
    (
        "the method twice",
        message(f'"id":1,"method":"ping","method":"tools/call","params":{{{_FORBIDDEN}}}'),
        400,
        -32700,
    ),
    (
        "the params twice",
        message(f'"id":1,"method":"tools/call","params":{{{_ALLOWED}}},"params":{{{_FORBIDDEN}}}'),
        400,
        -32700,
    ),
    ("an argument twice", _call(_ALLOWED + ',"arguments":{"a":1,"a":2}'), 400, -32700),
    (
        "the method in another case",
        message(f'"id":1,"method":"ping","Method":"tools/call","params":{{{_FORBIDDEN}}}'),
        400,
        -32600,
    ),
    (
        "the params in another case",
        message(f'"id":1,"method":"tools/call","params":{{{_ALLOWED}}},"Params":{{{_FORBIDDEN}}}'),
        400,
        -32600,
    ),
    (
        "the params with a long s",
        message(f'"id":1,"method":"tools/call","params":{{{_ALLOWED}}},"param\u017f":{{{_FORBIDDEN}}}'),
        400,
        -32600,
    ),
    ("the name in another case", _call(_ALLOWED + ',"Name":"delete_norm"'), 400, -32600),
    ("the arguments in another case", _call(_ALLOWED + ',"arguments":{},"ARGUMENTS":{"x":1}'), 400, -32600),
    ("an id that is an object", _call(_ALLOWED, "{}"), 400, -32600),
    ("an id that is an array", _call(_ALLOWED, "[1]"), 400, -32600),
    ("an id that is true", _call(_ALLOWED, "true"), 400, -32600),
    ("an id that is a fraction", _call(_ALLOWED, "1.5"), 400, -32600),
    ("a method that is an array", message('"id":1,"method":["tools/call"]'), 400, -32600),
    ("a method that is null", message('"id":1,"method":null'), 400, -32600),
    ("params that are an array", message('"id":1,"method":"tools/call","params":["delete_norm"]'), 400, -32600),
    ("params that are missing", message('"id":1,"method":"tools/call"'), 400, -32600),
    ("a name that is an array", _call('"name":["lookup_norm"]'), 400, -32600),
    ("a name that is null", _call('"name":null'), 400, -32600),
    ("a name that is missing", _call('"x":1'), 400, -32600),
    ("a forbidden tool", _call(_FORBIDDEN), 200, -32000),
    (
        "a forbidden tool without an id",
        message(f'"method":"tools/call","params":{{{_FORBIDDEN}}}'),
        403,
        "tool_not_allowed",
    ),
    ("a forbidden tool and an id of null", _call(_FORBIDDEN, "null"), 403, "tool_not_allowed"),
    ("a forbidden tool and an id beyond 64 bits", _call(_FORBIDDEN, "9" * 40), 200, -32000),
    ("a forbidden tool and an id with half a pair", _call(_FORBIDDEN, '"\\ud800"'), 200, -32000),
    ("a forbidden tool that is escaped", _call('"name":"\\u0064elete_norm"'), 200, -32000),
    ("a forbidden tool behind a line end", _call('"name":"lookup_norm\\ndelete_norm"'), 200, -32000),
    ("a tool with a NUL", _call('"name":"lookup_norm\\u0000"'), 200, -32000),
    ("a tool in capitals", _call('"name":"LOOKUP_NORM"'), 200, -32000),
    ("a tool with a blank in front", _call('"name":" lookup_norm"'), 200, -32000),
    ("a tool in wide letters", _call('"name":"\uff4cookup_norm"'), 200, -32000),
    (
        "a tool whose method has an escaped slash",
        message(f'"id":1,"method":"tools\\/call","params":{{{_FORBIDDEN}}}'),
        200,
        -32000,
    ),
    ("a tool of a megabyte", _call(f'"name":"{"x" * 1_000_000}"'), 200, -32000),
]

#: Messages that reach their server byte for byte.
PASSING_MESSAGES = [
    ("an allowed call", _call(_ALLOWED)),
    (
        "an allowed call whose arguments have names of ours",
        _call(_ALLOWED + ',"arguments":{"Name":"x","METHOD":"y","name":"delete_norm"}'),
    ),
    ("an id that is a text", _call(_ALLOWED, '"x"')),
    ("an id with half a pair", _call(_ALLOWED, '"\\udfff"')),
    ("an id beyond 64 bits", _call(_ALLOWED, "9" * 40)),
    ("an id that was used before", _call(_ALLOWED)),
    ("odd blanks", b" \r\n" + _call(_ALLOWED) + b"\t\n"),
    ("an escaped name", _call('"name":"lookup\\u005fnorm"')),
    ("a method that nobody knows", message('"id":1,"method":"no/such","params":{"name":"delete_norm"}')),
    ("a notification", message('"method":"notifications/cancelled"')),
    ("an answer to the server", message('"id":1,"result":{}')),
    ("depth of 90", _call(_ALLOWED + ',"arguments":' + _nested('{"a":', "}", 90))),
]
