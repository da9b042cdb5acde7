"""Answers of a broken upstream: streams and bodies, byte for byte, and what the caller must make of each."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from support.hostile.cases import MARK
from support.servers.recording_upstream import chunked, whole
from support.servers.scripted_upstream import Close, Reset, Say, Step, Wait

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_CHUNKED = _HEAD + b"transfer-encoding: chunked\r\n\r\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
DONE = b"data: [DONE]\n\n"


class Broken(NamedTuple):
    """What the upstream does, and what comes of it.

    Attributes:
        name: What is wrong.
        script: The upstream's steps after it has read the request.
        body: What the caller gets of the body, exactly; None where that is not certain.
        status: What the caller is answered.
        complete: Whether the caller gets a proper end.
        charged: Tokens of the answer that are charged, and how well they are known; "reserved": at most so many.
    """

    name: str
    script: Sequence[Step]
    body: bytes | None
    status: int = 200
    complete: bool = True
    charged: tuple[int, str] = (40, "reserved")


def event(text: str = "ok", usage: Any = None, **members: Any) -> bytes:
    """One chunk of a chat."""
    content = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], **members}
    return b"data: " + json.dumps(content | ({} if usage is None else {"usage": usage})).encode() + b"\n\n"


def last(usage: Any) -> bytes:
    """The chunk that carries the usage and nothing else."""
    return b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage}).encode() + b"\n\n"


_SOUND = event() + event("ö" * 9) + last(USAGE) + DONE
_PROVIDED = (2, "provider")


def _passing(name: str, body: bytes, charged: tuple[int, str] = _PROVIDED, parts: list[bytes] | None = None) -> Broken:
    return Broken(name, [Say(chunked(*(parts or [body])))], body, charged=charged)


def _unended(name: str, body: bytes, charged: tuple[int, str] = _PROVIDED) -> Broken:
    """A stream whose bytes end properly, and whose answer does not."""
    return Broken(name, [Say(chunked(body))], body, complete=False, charged=charged)


def _cut(name: str, *steps: Step, body: bytes | None = _SOUND[:-20], charged: tuple[int, str] = _PROVIDED) -> Broken:
    return Broken(name, steps, body, complete=False, charged=charged)


_COUNTED = (2, "counted")
_WITH_COUNT = event(usage=USAGE)
_PIECE = b"%x\r\n%b\r\n" % (len(_WITH_COUNT), _WITH_COUNT)
_PASSED = event()  # the caller has not asked for the count

#: Streams whose events are odd; the caller has asked for all of the usage, so all bytes pass.
EVENTS = [
    _passing("lines that end with LF", _SOUND),
    _passing("lines that end with CR LF", _SOUND.replace(b"\n", b"\r\n")),
    _passing("lines that end with CR", _SOUND.replace(b"\n", b"\r")),
    _passing(
        "lines that end each in another way",
        event() + event().replace(b"\n", b"\r\n") + last(USAGE).replace(b"\n", b"\r") + DONE,
    ),
    _passing("a CR LF CR that is one end and a half", event().replace(b"\n\n", b"\r\n\r") + last(USAGE) + DONE),
    _passing("one byte a chunk", _SOUND, parts=[b"%c" % byte for byte in _SOUND]),
    _passing(
        "a split in a character",
        _SOUND,
        parts=[_SOUND[: _SOUND.index(b"\\u00f6") + 3], _SOUND[_SOUND.index(b"\\u00f6") + 3 :]],
    ),
    _passing(
        "raw UTF-8, one byte a chunk",
        _SOUND + b": \xc3\xb6\n\n",
        parts=[b"%c" % byte for byte in _SOUND + b": \xc3\xb6\n\n"],
    ),
    _passing("a byte order mark", b"\xef\xbb\xbf" + _SOUND),
    _passing("no blank behind the colon", _SOUND.replace(b"data: ", b"data:")),
    _passing("many blanks behind the colon", _SOUND.replace(b"data: {", b"data:    {")),
    _passing(
        "the usage on several lines",
        event() + b'data: {"choices":[],\ndata: "usage":' + json.dumps(USAGE).encode() + b"}\n\n" + DONE,
    ),
    _passing("no last empty line", _SOUND[:-2]),
    _unended("a usage without its empty line", event() + last(USAGE)[:-2]),
    _unended("no [DONE]", _SOUND[: -len(DONE)]),
    _passing("two [DONE]", _SOUND + DONE),
    _passing("an event behind [DONE]", _SOUND + event("more")),
    _passing("a flood of comments", b": \n\n" * 20_000 + _SOUND),
    _passing("a flood of line ends", b"\n" * 100_000 + _SOUND),
    _passing("a flood of carriage returns", b"\r" * 100_000 + b"\n" + _SOUND),
    _passing("a comment of a megabyte", b": " + b"x" * 2**20 + b"\n\n" + _SOUND),
    _passing("an event of a megabyte", event("x" * 2**20) + _SOUND),
    _passing("an event of a hundred thousand lines", b"data: x\n" * 100_000 + b"\n" + _SOUND),
    _passing("a retry of nothing", b"retry: 0\n\n" + _SOUND),
    _passing("a retry of ages", b"retry: 99999999999999999999\n\n" + _SOUND),
    _passing("a retry that is none", b"retry: soon\nid: \x00\n\n" + _SOUND),
    _passing("an event with a name", b"event: error\n" + _SOUND),
    _passing("NULs", b"data: \x00\x00\n\n" + _SOUND),
    _passing("invalid UTF-8", b"data: \xff\xfe\xc0\xaf\n\n" + _SOUND),
    _passing("data that is no JSON", b'data: {"usage": \n\n' + _SOUND),
    _passing("data that is an array", b'data: [{"usage":{"completion_tokens":900}}]\n\n' + _SOUND),
    _passing("data that is nested deeply", b'data: {"usage":' + b"[" * 100_000 + b"\n\n" + _SOUND),
    _passing(
        "a delta nested deeply",
        b'data: {"choices":[{"delta":' + b'{"a":' * 1015 + b"1" + b"}" * 1015 + b"}]}\n\n" + _SOUND,
    ),
    _passing("a delta of arrays", b'data: {"type":"x","delta":{"a":' + b"[" * 1015 + b"]" * 1015 + b"}}\n\n" + _SOUND),
    _passing(
        "choices that are no array", b'data: {"choices":7,"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n' + DONE
    ),
    _passing("an answer that speaks of usage", event('{"usage":{"completion_tokens":900}}') + last(USAGE) + DONE),
    _passing("an error in the middle", event() + b'data: {"error":{"message":"broken"}}\n\n' + DONE, (40, "reserved")),
    _passing("an error and nothing else", b'data: {"error":{"message":"broken"}}\n\n', (40, "reserved")),
    _unended("HTML in a stream", b"<html><body>\n\nBad gateway\n\n</body></html>", (40, "reserved")),
]


def _reporting(name: str, usage: Any, *charged: Any) -> Broken:
    return _passing(f"usage {name}", event() + last(usage) + DONE, charged or (40, "reserved"))


#: The most that an upstream is believed; beyond, nothing is known.
MOST = 10**12
#: What an upstream says of its tokens, and what is charged for the answer.
USAGES = [
    _passing("usage absent", event() + DONE, (40, "reserved")),
    _reporting("null", None),
    _reporting("empty", {}),
    _reporting("an array", [3, 2]),
    _reporting("a text", "5"),
    _reporting("a number", 5),
    _reporting("negative", USAGE | {"completion_tokens": -5}),
    _reporting("a fraction", USAGE | {"completion_tokens": 2.5}),
    _reporting("a whole float", USAGE | {"completion_tokens": 2.0}),
    _reporting("in letters", USAGE | {"completion_tokens": "2"}),
    _reporting("true", USAGE | {"completion_tokens": True}),
    _reporting("of null", USAGE | {"completion_tokens": None}),
    _reporting("beyond 64 bits", USAGE | {"completion_tokens": 10**30}),
    _reporting("of 64 bits", USAGE | {"completion_tokens": 2**64 - 1}),
    _reporting("of 63 bits", USAGE | {"completion_tokens": 2**63 - 1}),
    _reporting("that is barely believed", USAGE | {"completion_tokens": MOST}, MOST, "provider"),
    _reporting("that is barely not believed", USAGE | {"completion_tokens": MOST + 1}),
    _reporting("of nothing", USAGE | {"completion_tokens": 0, "total_tokens": 3}, 0, "provider"),
    _reporting("larger than asked", USAGE | {"completion_tokens": 5000}, 5000, "provider"),
    _reporting("without the prompt", {"completion_tokens": 2}, 2, "reserved"),
    _reporting("with a total that is more than its parts", USAGE | {"total_tokens": 9}, 6, "provider"),
    _reporting("with a total that is less than its parts", USAGE | {"total_tokens": 1}, *_PROVIDED),
    _passing("usage twice and equal", event() + last(USAGE) * 2 + DONE),
    _passing("usage twice, the second smaller", event() + last(USAGE) + last(USAGE | {"completion_tokens": 1}) + DONE),
    _passing(
        "usage twice, the second larger",
        event() + last(USAGE) + last(USAGE | {"completion_tokens": 9}) + DONE,
        (9, "provider"),
    ),
    _passing("usage behind [DONE]", event() + DONE + last(USAGE)),
    _passing(
        "usage twice in one object",
        event()
        + b'data: {"choices":[],"usage":{"completion_tokens":900},"usage":'
        + json.dumps(USAGE).encode()
        + b"}\n\n"
        + DONE,
    ),
]

#: Streams that break off, and answers whose frame is broken after their head.
CUTS = [
    _cut("a reset", Say(_CHUNKED + _PIECE), Wait(0.05), Reset(), body=None, charged=_COUNTED),
    _cut("a close in front of the last chunk", Say(_CHUNKED + _PIECE), Close(), body=_PASSED, charged=_COUNTED),
    _cut("a close in a chunk", Say(_CHUNKED + _PIECE + b"ff\r\ndata: "), Close(), body=None, charged=_COUNTED),
    _cut("a close in the last chunk", Say(_CHUNKED + _PIECE + b"0\r\n"), Close(), body=_PASSED, charged=_COUNTED),
    _cut("a chunk size that is none", Say(_CHUNKED + _PIECE + b"zz\r\n" + MARK), body=_PASSED, charged=_COUNTED),
    _cut(
        "a trailer of a megabyte",
        Say(_CHUNKED + _PIECE + b"0\r\na: " + b"x" * 2**20),
        body=_PASSED,
        charged=_COUNTED,
    ),
    _cut("an extension of a megabyte", Say(_CHUNKED + _PIECE + b"5;" + b"x" * 2**20), body=_PASSED, charged=_COUNTED),
    _cut("a silence", Say(_CHUNKED + _PIECE), Wait(1.5), body=_PASSED, charged=_COUNTED),
    _cut(
        "a length that is not reached",
        Say(_HEAD + b"content-length: 9999\r\n\r\n" + _WITH_COUNT),
        Close(),
        body=_PASSED,
        charged=_COUNTED,
    ),
]

#: Streams that break before the caller has any of them.
UNBEGUN = [
    _unended("nothing at all", b"", (40, "reserved")),
    _cut(
        "a chunk that is longer",
        Say(_CHUNKED + b"5\r\n" + MARK + b"\r\n0\r\n\r\n"),
        body=None,
        charged=(40, "reserved"),
    ),
    _cut("an event of nine megabytes", Say(chunked(b"data: " + b"x" * 9 * 2**20)), body=None, charged=(40, "reserved")),
    _cut(
        "an event of three million lines", Say(chunked(b"a\n" * 3_000_000 + b"\n")), body=None, charged=(40, "reserved")
    ),
    _cut(
        "a line of nine megabytes without a name", Say(chunked(b"x" * 9 * 2**20)), body=None, charged=(40, "reserved")
    ),
]

_OK = json.dumps({"id": "c", "choices": [{"index": 0, "message": {"content": "ok"}}], "usage": USAGE}).encode()
_HTML = b"<html><body>Welcome</body></html>"


def _answered(name: str, said: bytes, body: bytes | None = _OK, **rest: Any) -> Broken:
    return Broken(name, [Say(said)], body, **({"charged": _PROVIDED} | rest))


def _refused(name: str, *steps: Step, status: int = 502) -> Broken:
    return Broken(name, steps, None, status)


def _free(name: str, status: bytes, *fields: bytes) -> Broken:
    """An answer that is refused, and for which nothing is charged."""
    return Broken(name, [Say(whole(b"", *fields, status=status))], None, 502, charged=(0, "provider"))


_RAW = b"HTTP/1.1 200 OK\r\n"
#: Answers to a call that asks for no stream.
WHOLES = [
    _answered("as it should be", whole(_OK)),
    _answered("one byte at a time", chunked(*[b"%c" % byte for byte in _OK], kind=b"application/json")),
    _answered("with trailers", chunked(_OK, kind=b"application/json", end=b"0\r\nset-cookie: a=" + MARK + b"\r\n\r\n")),
    Broken("until the connection ends", [Say(_RAW + b"\r\n" + _OK), Close()], _OK, charged=_PROVIDED),
    _answered(
        "with a cookie and fields of a hop", whole(_OK, b"set-cookie: a=" + MARK, b"proxy-authenticate: " + MARK)
    ),
    _answered("with a field that Connection names", whole(_OK, b"connection: x-hop", b"x-hop: " + MARK)),
    _answered("behind an interim answer", b"HTTP/1.1 103 Early Hints\r\nlink: <" + MARK + b">\r\n\r\n" + whole(_OK)),
    _answered("behind ten interim answers", b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + whole(_OK)),
    _answered("HTML", whole(_HTML, kind=b"text/html"), _HTML, charged=(40, "reserved")),
    _answered("empty", whole(b""), b"", charged=(40, "reserved")),
    _answered("not JSON", whole(b'{"usage":'), b'{"usage":', charged=(40, "reserved")),
    _answered("an array", whole(b"[" + _OK + b"]"), b"[" + _OK + b"]", charged=(40, "reserved")),
    _answered("nested deeply", whole(b"[" * 100_000), b"[" * 100_000, charged=(40, "reserved")),
    _answered("in invalid UTF-8", whole(b'{"a":"\xff"}'), b'{"a":"\xff"}', charged=(40, "reserved")),
    _answered("with words of ours", whole(_OK, b"x-agenttype-remaining: " + MARK, b"x-agenttype-route: " + MARK)),
    _refused("compressed, or so it says", Say(whole(_OK, b"content-encoding: gzip"))),
    _refused("compressed twice", Say(whole(_OK, b"content-encoding: identity", b"content-encoding: br"))),
    _refused(
        "a stream that is compressed",
        Say(chunked(_OK).replace(b"\r\ntransfer", b"\r\ncontent-encoding: gzip\r\ntransfer", 1)),
    ),
    _free("a redirection", b"302 Found", b"location: http://169.254.169.254/" + MARK),
    _free("a redirection that keeps its method", b"307 Temporary Redirect", b"location: //evil/" + MARK),
    _free("a choice of redirections", b"300 Multiple Choices"),
    _free("nothing that was modified", b"304 Not Modified"),
    _refused("an interim answer without end", Say(b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + whole(_OK))),
    _refused(
        "another protocol", Say(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + MARK)
    ),
    _refused(
        "an interim answer with a length", Say(b"HTTP/1.1 100 Continue\r\ncontent-length: 5\r\n\r\n" + whole(_OK))
    ),
    _refused("two lengths", Say(_RAW + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}" + MARK)),
    _refused(
        "a length and an encoding",
        Say(_RAW + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + MARK),
    ),
    _refused("a length with a minus", Say(_RAW + b"content-length: -2\r\n\r\n{}")),
    _refused("an encoding nobody asked for", Say(_RAW + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
    _refused("a body without a head", Say(_HTML)),
    _refused("a version of the past", Say(b"HTTP/0.9 200 OK\r\n\r\n" + _HTML)),
    _refused("a version of the future", Say(b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("RTSP", Say(b"RTSP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("ICE", Say(b"ICE/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("a status below all", Say(b"HTTP/1.1 099 Odd\r\n\r\n" + whole(_OK))),
    _refused("a status above all", Say(whole(_OK, status=b"600 Odd"))),
    _refused("a status far above all", Say(whole(_OK, status=b"999 Odd"))),
    _refused("an encoding twice", Say(chunked(_OK).replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n", 1))),
    _refused("an encoding in an old version", Say(chunked(_OK).replace(b"HTTP/1.1", b"HTTP/1.0", 1))),
    _refused("a status of two digits", Say(b"HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("a status of letters", Say(b"HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("a folded field", Say(_RAW + b"a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("a NUL in a field", Say(_RAW + b"a: \x00\r\ncontent-length: 2\r\n\r\n{}")),
    _refused("lines that end with LF", Say(b"HTTP/1.1 200 OK\ncontent-length: 2\n\n{}")),
    _refused("a field of a megabyte", Say(_RAW + b"a: " + b"x" * 2**20)),
    _refused("ten thousand fields", Say(_RAW + b"a: b\r\n" * 10_000 + b"content-length: 2\r\n\r\n{}")),
    _refused("nothing and a close", Close()),
    _refused("nothing and a reset", Reset()),
    _refused("a head and a close", Say(_RAW), Close()),
    _refused("half a body and a close", Say(whole(_OK)[:-9]), Close()),
    _refused("half a body and a reset", Say(whole(_OK)[:-9]), Wait(0.05), Reset()),
    _refused("silence", Wait(1.5), status=504),
    _refused("a head that drips", *[step for byte in _RAW for step in (Say(b"%c" % byte), Wait(0.1))], status=504),
    _refused("half a body and silence", Say(whole(_OK)[:-9]), Wait(1.5), status=504),
]

#: What an upstream adds to a sound answer, at once or later, on a connection that is kept.
STOWAWAYS = [
    ("another answer", [Say(whole(_OK) + whole(b'{"stolen":"' + MARK + b'"}'))]),
    ("another answer a moment later", [Say(whole(_OK)), Wait(0.1), Say(whole(b'{"stolen":"' + MARK + b'"}'))]),
    ("an interim answer a moment later", [Say(whole(_OK)), Wait(0.1), Say(b"HTTP/1.1 100 Continue\r\n\r\n")]),
    (
        "a time-out a moment later",
        [Say(whole(_OK)), Wait(0.1), Say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")],
    ),
    ("more body than its length", [Say(whole(_OK) + MARK)]),
    ("more body than its length a moment later", [Say(whole(_OK)), Wait(0.1), Say(MARK)]),
    ("a chunk behind the last", [Say(chunked(_OK, kind=b"application/json") + b"5\r\nhello\r\n0\r\n\r\n")]),
    ("half an answer", [Say(whole(_OK) + b"HTTP/1.1 200 OK\r\ncontent-le")]),
    ("half an answer a moment later", [Say(whole(_OK)), Wait(0.1), Say(b"HTTP/1.1 200 OK\r\ncontent-le")]),
    ("an empty line a moment later", [Say(whole(_OK)), Wait(0.1), Say(b"\r\n")]),
    ("a close a moment later", [Say(whole(_OK)), Wait(0.1), Close()]),
    ("a reset a moment later", [Say(whole(_OK)), Wait(0.1), Reset()]),
]
