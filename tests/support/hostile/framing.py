"""Requests whose end two servers could find in different places: lengths, encodings, chunks, line ends."""

from support.hostile.cases import BODY, BYE, CHAT, CHUNKED, HIDDEN, MARK, Case, chunks, post, request

_SIZE = b"content-length: %d" % len(BODY)
_LINE = b"POST " + CHAT + b" HTTP/1.1"
_SHORT = BODY + HIDDEN
_ALL = b"content-length: %d" % len(_SHORT)
_BOTH = chunks(BODY) + HIDDEN


def _chunked(*fields: bytes, body: bytes = _BOTH) -> bytes:
    return request(*fields, body=body)


CONFLICTS = [
    Case("a length before an encoding", request(_ALL, CHUNKED, body=_BOTH), (400,)),
    Case("an encoding before a length", request(CHUNKED, _ALL, body=_BOTH), (400,)),
    Case("a length of zero and an encoding", request(b"content-length: 0", CHUNKED, body=_BOTH), (400,)),
    Case(
        "a length and an encoding of another kind", request(_ALL, b"transfer-encoding: identity", body=_SHORT), (400,)
    ),
    Case("two lengths that differ", request(_SIZE, _ALL, body=_SHORT), (400,)),
    Case("two lengths that agree", request(_SIZE, _SIZE, body=BODY), (400,)),
    Case("two lengths in one field", request(_SIZE + b", %d" % len(_SHORT), body=_SHORT), (400,)),
    Case("two equal lengths in one field", request(_SIZE + b", %d" % len(BODY), body=BODY), (400,)),
    Case("a length with a plus", request(b"content-length: +%d" % len(BODY), body=BODY), (400,)),
    Case("a length with a minus", request(b"content-length: -1", body=BODY), (400,)),
    Case("a length in hexadecimal", request(b"content-length: 0x5", body=BODY), (400,)),
    Case("a length with a fraction", request(b"content-length: 5.0", body=BODY), (400,)),
    Case("a length with an exponent", request(b"content-length: 1e2", body=BODY), (400,)),
    Case("a length with an underscore", request(b"content-length: 1_0", body=BODY), (400,)),
    Case("a length with a blank inside", request(b"content-length: 1 0", body=BODY), (400,)),
    Case("a length in other digits", request("content-length: ١٢".encode(), body=BODY), (400,)),
    Case("an empty length", request(b"content-length:", body=BODY), (400,)),
    Case("a length that is a word", request(b"content-length: chunked", body=BODY), (400,)),
    Case("a length beyond 64 bits", request(b"content-length: 18446744073709551617", body=BODY), (400,)),
    Case("a length of 64 bits", request(b"content-length: 18446744073709551615", body=b"x" * 9_000_000), (413,)),
    Case("a length with a vertical tab", request(b"content-length: \x0b5", body=BODY), (400,)),
    Case("a blank before the length's colon", request(b"content-length : 5", body=BODY), (400,)),
    Case("a blank before the encoding's colon", request(b"transfer-encoding : chunked", body=_BOTH), (400,)),
    Case("a tab before the encoding's colon", request(b"transfer-encoding\t: chunked", body=_BOTH), (400,)),
    Case("a folded encoding", request(b"transfer-encoding:\r\n chunked", body=_BOTH), (400,)),
    Case("a folded length", request(b"content-length:\r\n 5", body=BODY), (400,)),
    Case("a folded field", request(_SIZE, b"a: b\r\n c: d", body=BODY), (400,)),
    Case("a fold with a tab", request(_SIZE, b"a: b\r\n\tc", body=BODY), (400,)),
    Case("a fold before the first field", _LINE + b"\r\n host: x\r\n" + _SIZE + b"\r\n\r\n" + BODY, (400,)),
    Case("an encoding twice", request(CHUNKED, CHUNKED, body=_BOTH), (400,)),
    Case("an encoding twice in one field", request(CHUNKED + b", chunked", body=_BOTH), (400,)),
    Case("an encoding and identity", request(CHUNKED + b", identity", body=_BOTH), (400,)),
    Case("identity and an encoding", request(b"transfer-encoding: identity, chunked", body=_BOTH), (400,)),
    Case("gzip and chunked", request(b"transfer-encoding: gzip, chunked", body=_BOTH), (400,)),
    Case("gzip alone", request(b"transfer-encoding: gzip", body=_BOTH), (400,)),
    Case("an unknown encoding", request(b"transfer-encoding: xchunked", body=_BOTH), (400,)),
    Case("an encoding with a longer name", request(b"transfer-encoding: chunkedx", body=_BOTH), (400,)),
    Case("an encoding in quotes", request(b'transfer-encoding: "chunked"', body=_BOTH), (400,)),
    Case("an encoding with a parameter", request(CHUNKED + b"; q=1", body=_BOTH), (400,)),
    Case("an encoding with a vertical tab", request(b"transfer-encoding: \x0bchunked", body=_BOTH), (400,)),
    Case("an encoding with a NUL", request(b"transfer-encoding: chunked\x00", body=_BOTH), (400,)),
    Case("an empty encoding", request(b"transfer-encoding:", body=_BOTH), (400,)),
    Case("an encoding that ends with a comma", request(CHUNKED + b",", body=_BOTH), (400,)),
    Case("an encoding in an old version", request(CHUNKED, body=_BOTH, line=b"POST " + CHAT + b" HTTP/1.0"), (400,)),
    Case("an encoding in capitals", request(b"TRANSFER-ENCODING: CHUNKED", body=chunks(BODY) + BYE), (200, 404), 1),
    Case("an encoding with blanks around", request(b"transfer-encoding: \t chunked \t", body=_BOTH), (400,)),
    Case(
        "an encoding with an underscore", request(_SIZE, b"transfer_encoding: chunked", body=BODY + BYE), (200, 404), 1
    ),
    Case(
        "a length with an underscore in its name",
        request(b"content_length: 5", CHUNKED, body=chunks(BODY) + BYE),
        (200, 404),
        1,
    ),
    Case("neither length nor encoding", request(body=BYE), (400, 404)),
    Case("a length that Connection names", post(b"connection: content-length") + BYE, (200, 404), 1),
    Case(
        "an encoding that Connection names",
        request(CHUNKED, b"connection: transfer-encoding", body=chunks(BODY) + BYE),
        (200, 404),
        1,
    ),
    Case("a second request in the body", post(body=_SHORT) + BYE, (400, 404)),
    Case("a length too short for the body", request(b"content-length: %d" % (len(BODY) - 1), body=BODY), (400, 400)),
    Case("an encoding in the trailers", request(CHUNKED, body=chunks(BODY)[:-2] + CHUNKED + b"\r\n\r\n" + BYE), (400,)),
    Case("a length in the trailers", request(CHUNKED, body=chunks(BODY)[:-2] + _ALL + b"\r\n\r\n" + BYE), (400,)),
    Case(
        "a credential in the trailers",
        request(CHUNKED, body=chunks(BODY)[:-2] + b"authorization: " + MARK + b"\r\n\r\n" + BYE),
        (200, 404),
        1,
    ),
    Case("a fold in the trailers", request(CHUNKED, body=chunks(BODY)[:-2] + b"a: b\r\n c\r\n\r\n"), (400,)),
]

_HEX = b"%x" % len(BODY)


def _framed(name: str, body: bytes, *statuses: int, sent: int = 0) -> Case:
    return Case(name, request(CHUNKED, body=body), statuses, sent)


CHUNKS = [
    _framed("a chunk size that is no number", b"zz\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk size with a minus", b"-1\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk size with a plus", b"+" + _HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk size with 0x", b"0x" + _HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk size with an underscore", b"0_1\r\n{\r\n0\r\n\r\n", 400),
    _framed("a chunk size beyond 64 bits", b"f" * 17 + b"\r\n" + BODY, 400),
    _framed("a chunk size of 64 bits", b"f" * 16 + b"\r\n" + b"x" * 9_000_000, 413),
    _framed("an empty chunk size", b"\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a blank before the chunk size", b" " + _HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a blank after the chunk size", _HEX + b" \r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a tab after the chunk size", _HEX + b"\t\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk size that ends with LF", _HEX + b"\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk size that ends with CR", _HEX + b"\r" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk that ends with LF", _HEX + b"\r\n" + BODY + b"\n0\r\n\r\n", 400),
    _framed("a chunk that ends with CR", _HEX + b"\r\n" + BODY + b"\r0\r\n\r\n", 400),
    _framed("a chunk that does not end", _HEX + b"\r\n" + BODY + b"0\r\n\r\n", 400),
    _framed("a chunk longer than said", b"5\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("a chunk followed by other bytes", _HEX + b"\r\n" + BODY + b"xx0\r\n\r\n", 400),
    _framed("a last chunk that ends with LF", chunks(BODY)[:-4] + b"\n\n" + HIDDEN, 400),
    _framed("a last chunk with LF and a hidden request", chunks(BODY)[:-4] + b"\r\n\n" + HIDDEN, 400),
    _framed(
        "a last chunk of many zeros", _HEX + b"\r\n" + BODY + b"\r\n" + b"0" * 20 + b"\r\n\r\n" + BYE, 200, 404, sent=1
    ),
    _framed(
        "a chunk size with leading zeros", b"0000" + _HEX + b"\r\n" + BODY + b"\r\n0\r\n\r\n" + BYE, 200, 404, sent=1
    ),
    _framed(
        "a chunk size in capitals", chunks(BODY[:10], BODY[10:]).replace(b"a\r\n", b"A\r\n", 1) + BYE, 200, 404, sent=1
    ),
    _framed("a chunk with an extension", _HEX + b";a=b\r\n" + BODY + b"\r\n0\r\n\r\n" + BYE, 200, 404, sent=1),
    _framed("an extension in quotes", _HEX + b';a="b;c"\r\n' + BODY + b"\r\n0\r\n\r\n" + BYE, 200, 404, sent=1),
    _framed("an extension with a CR LF in quotes", _HEX + b';a="\r\n0\r\n\r\n' + HIDDEN + b'"\r\n', 400),
    _framed("an extension with a LF", _HEX + b";a\nb\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("an extension with a CR", _HEX + b";a\rb\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("an extension with a NUL", _HEX + b";a\x00\r\n" + BODY + b"\r\n0\r\n\r\n", 400),
    _framed("an extension of a megabyte", _HEX + b";" + b"a" * 1_000_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n", 431),
    _framed("an extension of a megabyte in quotes", _HEX + b';a="' + b"a" * 1_000_000 + b'"\r\n' + BODY, 431),
    _framed("a trailer of a megabyte", chunks(BODY)[:-2] + b"a: " + b"x" * 1_000_000 + b"\r\n\r\n", 431),
    _framed("ten thousand trailers", chunks(BODY)[:-2] + b"a: bcdefgh\r\n" * 10_000 + b"\r\n", 431),
    _framed("a trailer without a colon", chunks(BODY)[:-2] + b"no colon\r\n\r\n", 400),
    _framed("chunks of one byte", chunks(*[b"%c" % byte for byte in BODY]) + BYE, 200, 404, sent=1),
    _framed("two hundred thousand chunks of one byte", chunks(*[b" "] * 200_000, BODY) + BYE, 200, 404, sent=1),
    _framed("chunks of more than a body may have", chunks(*[b" " * 65_536] * 140), 413),
    _framed("nothing but the last chunk", b"0\r\n\r\n" + BYE, 400, 404),
    _framed("chunks and a hidden request behind them", chunks(BODY) + BYE.replace(b"/bye", MARK), 200, 400, sent=1),
]


def _lines(name: str, said: bytes, *statuses: int, sent: int = 0) -> Case:
    return Case(name, said, statuses, sent)


_GOOD = post(b"connection: close")
LINE_ENDS = [
    _lines("every line ends with LF", _GOOD.replace(b"\r\n", b"\n"), 400),
    _lines("every line ends with CR", _GOOD.replace(b"\r\n", b"\r"), 400),
    _lines("the request line ends with LF", _GOOD.replace(b"\r\n", b"\n", 1), 400),
    _lines("the request line ends with CR", _GOOD.replace(b"\r\n", b"\r", 1), 400),
    _lines("a field ends with LF", request(_SIZE, b"a: b\nc: d", body=BODY), 400),
    _lines("a field ends with CR", request(_SIZE, b"a: b\rc: d", body=BODY), 400),
    _lines("a field ends with LF and CR", request(_SIZE, b"a: b\n\rc: d", body=BODY), 400),
    _lines("a field ends with CR CR LF", request(_SIZE, b"a: b\r\r\nc: d", body=BODY), 400),
    _lines("the head ends with LF", _LINE + b"\r\nhost: x\r\n" + _SIZE + b"\r\n\n" + BODY, 400),
    _lines("the head ends with CR and a letter", _LINE + b"\r\nhost: x\r\n" + _SIZE + b"\r\n\rX" + BODY, 400),
    _lines("the head ends with LF LF", _LINE + b"\r\nhost: x\r\n" + _SIZE + b"\n\n" + BODY, 400),
    _lines("an encoding hides behind a LF", request(_SIZE, b"a: b\ntransfer-encoding: chunked", body=BODY), 400),
    _lines("a length hides behind a CR", request(CHUNKED, b"a: b\rcontent-length: 5", body=_BOTH), 400),
    _lines("a NUL in a value", request(_SIZE, b"a: b\x00c", body=BODY), 400),
    _lines("a NUL in a name", request(_SIZE, b"a\x00b: c", body=BODY), 400),
    _lines("a NUL in the request line", _GOOD.replace(b" HTTP", b"\x00 HTTP", 1), 400),
    _lines("empty lines before the request", b"\r\n\r\n" + _GOOD, 200, sent=1),
    _lines("a field without a colon", request(_SIZE, b"no colon here", body=BODY), 400),
    _lines("a field without a name", request(_SIZE, b": value", body=BODY), 400),
    _lines("a field of a colon alone", request(_SIZE, b":", body=BODY), 400),
    _lines("TLS in place of HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARK, 400),
    _lines("HTTP/2 in place of HTTP/1.1", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 30, 400),
    _lines("another protocol altogether", b"SSH-2.0-" + MARK + b"\r\n\r\n", 400),
    _lines("a proxy's greeting before the request", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + _GOOD, 400),
    _lines("nothing but NULs", b"\x00" * 1000, 400),
    _lines("nothing but line ends", b"\r\n" * 200_000, 431),
]
