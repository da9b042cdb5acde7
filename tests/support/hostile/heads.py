"""Requests that are odd in their line or their fields: targets, methods, versions, names, hosts, sizes."""

from support.hostile.cases import BODY, BYE, CHAT, CHUNKED, MARK, Case, chunks, get, post, request
from support.servers.scripted_upstream import Say

_SIZE = b"content-length: %d" % len(BODY)
_INSIDE = (
    b"//", b"/v1//", b"/v1/.", b"//v1/chat/completions", b"/v1//chat/completions", b"/v1/chat//completions",
    b"/v1/chat/completions/", b"/v1/chat/completions//", b"/v1/./chat/completions", b"/./v1/chat/completions",
    b"/v1/../v1/chat/completions", b"/v1/chat/../chat/completions", b"/v1/chat/completions/.",
    b"/v1/chat/completions/..", b"/v1/chat/completions/../../update_weights", b"/v1/../pause", b"/v1/..%2fpause",
    b"/v1/%2e%2e/pause", b"/v1/%2e./pause", b"/v1/%252e%252e/pause", b"/..%2f..%2fetc/passwd",
    b"/v1%2fchat%2fcompletions", b"/v1/chat%2fcompletions", b"/v1/chat%2Fcompletions", b"/%2f/v1/chat/completions",
    b"/v1\\chat\\completions", b"/v1/chat%5ccompletions", b"/v1/chat/completions;x=1", b"/v1/chat;/completions",
    b"/v1/chat/completions%00", b"/v1/chat/completions%00.txt", b"/v1/chat/completions%20", b"/v1/chat/completions%0a",
    b"/v1/chat/completions%0d%0ax:y", b"/v1/chat/completions%3fx=1", b"/v1/chat/completions%23",
    b"/v1/chat/completion%73", b"/%76%31/chat/completions", b"/V1/chat/completions", b"/v1/Chat/Completions",
    b"/v1/chat/%c0%ae%c0%ae/pause", b"/v1/chat/%c0%af", b"/v1/%e0%80%af", b"/v1/%ed%a0%80", b"/v1/%ff%fe",
    b"/v1/%", b"/v1/%2", b"/v1/%zz", b"/v1/%u002f", b"/v1/chat/completions&x", b"/v1/chat/completions,", b"/*",
    b"/v1/load_lora_adapter", b"/v1/unload_lora_adapter", b"/update_weights", b"/pause", b"/reset_prefix_cache",
    b"/sleep", b"/wake_up", b"/collective_rpc", b"/server_info", b"/metrics", b"/health", b"/tokenize",
    b"/agenttype/v1/budget", b"/openai/v1/../v1/chat/completions", b"/anthropic/../v1/chat/completions",
    b"/mcp/crm/../../pause", b"/mcp/crm%2f..%2fother", b"/mcp/..%2fcrm", b"/mcp/%63rm", b"/mcp/crm;x", b"/mcp//crm",
    b"/mcp/crm//", b"/mcp/crm%00", b"/mcp/CRM", b"/mcp/" + MARK, b"/tools/" + MARK, b"/" + MARK,
    b"/v1/responses/", b"/v1/responses/..", b"/v1/responses/../../pause", b"/v1/responses/%2e%2e/cancel",
    b"/v1/responses/a%2fb/cancel", b"/v1/responses/a/../cancel", b"/v1/responses/a/cancel/", b"/v1/responses//cancel",
    b"/v1/responses/a;b/cancel", b"/v1/responses/" + b"x" * 300 + b"/cancel", b"/v1/responses/a%00/cancel",
    b"/v1/embeddings/..", b"/v1/rerank", b"/v1/score", b"/v1/audio/transcriptions", b"/v1/files", b"/v1/batches",
    b"/invocations", b"/inference/v1/generate", b"/v1/messages/batches", b"/pooling", b"/classify",
)  # fmt: skip
TARGETS = [
    Case(f"target {target.decode()}", post(b"connection: close", line=b"POST " + target + b" HTTP/1.1"), (404,))
    for target in _INSIDE
]
FORMS = [
    Case(f"form {name}", post(b"connection: close", line=line), (400,))
    for name, line in [
        ("absolute", b"POST http://x" + CHAT + b" HTTP/1.1"),
        ("absolute of another host", b"POST http://169.254.169.254/latest HTTP/1.1"),
        ("absolute with https", b"POST https://x" + CHAT + b" HTTP/1.1"),
        ("absolute of a file", b"POST file:///etc/passwd HTTP/1.1"),
        ("authority", b"POST x:80 HTTP/1.1"),
        ("asterisk", b"OPTIONS * HTTP/1.1"),
        ("scheme-relative", b"POST \\\\x\\y HTTP/1.1"),
        ("without a slash", b"POST v1/chat/completions HTTP/1.1"),
        ("with a fragment", b"POST " + CHAT + b"#x HTTP/1.1"),
        ("with a blank", b"POST /v1/chat completions HTTP/1.1"),
        ("with a tab", b"POST /v1/chat\tcompletions HTTP/1.1"),
        ("with a DEL", b"POST /v1/\x7f HTTP/1.1"),
        ("with a form feed", b"POST /v1/\x0c HTTP/1.1"),
        ("with raw UTF-8", "POST /v1/ü HTTP/1.1".encode()),
        ("with overlong UTF-8", b"POST /v1/\xc0\xaf HTTP/1.1"),
        ("with a high byte in its query", b"POST " + CHAT + b"?\xff HTTP/1.1"),
        ("missing", b"POST HTTP/1.1"),
        ("empty", b"POST  HTTP/1.1"),
        ("with a blank before the method", b" POST " + CHAT + b" HTTP/1.1"),
        ("in HTTP/1.2", b"POST " + CHAT + b" HTTP/1.2"),
        ("in HTTP/0.9", b"POST " + CHAT + b" HTTP/0.9"),
        ("in HTTP/2.0", b"POST " + CHAT + b" HTTP/2.0"),
        ("in HTTP/11", b"POST " + CHAT + b" HTTP/11"),
        ("in HTTP/1.10", b"POST " + CHAT + b" HTTP/1.10"),
        ("in http/1.1", b"POST " + CHAT + b" http/1.1"),
        ("without a version", b"POST " + CHAT),
        ("in another protocol", b"POST " + CHAT + b" FTP/1.1"),
        ("in RTSP/1.0", b"POST " + CHAT + b" RTSP/1.0"),
        ("in RTSP/1.1", b"POST " + CHAT + b" RTSP/1.1"),
        ("in RTSP/1.1 behind two blanks", b"POST  " + CHAT + b"  RTSP/1.1"),
        ("in RTSP/1.1 with a method of its own", b"DESCRIBE " + CHAT + b" RTSP/1.1"),
        ("in ICE/1.1", b"SOURCE " + CHAT + b" ICE/1.1"),
        ("in ICE's method alone", b"SOURCE " + CHAT + b" HTTP/1.1"),
    ]
]
METHODS = [
    Case("method GET", get(CHAT), (405,)),
    Case("method PUT", get(CHAT, method=b"PUT"), (405,)),
    Case("method DELETE", get(CHAT, method=b"DELETE"), (405,)),
    Case("method PATCH", get(CHAT, method=b"PATCH"), (405,)),
    Case("method OPTIONS", get(CHAT, method=b"OPTIONS"), (405,)),
    Case("method TRACE", get(CHAT, b"x-secret: " + MARK, method=b"TRACE"), (405,)),
    Case("method PROPFIND", get(CHAT, method=b"PROPFIND"), (405,)),
    Case("method CONNECT", get(b"x:443", method=b"CONNECT"), (400,)),
    Case("method unknown", get(CHAT, method=b"SMUGGLE"), (400,)),
    Case("method in small letters", get(CHAT, method=b"post"), (400,)),
    Case("method that is long", get(CHAT, method=b"P" * 100_000), (400,)),
    Case("method in a field", get(CHAT, b"x-http-method-override: POST"), (405,)),
    Case("method POST on the list of models", post(b"connection: close", line=b"POST /v1/models HTTP/1.1"), (405,)),
    Case("method POST on the base URL", post(b"connection: close", line=b"POST /v1 HTTP/1.1"), (405,)),
    Case("method PUT on a tool server", get(b"/mcp/crm", method=b"PUT"), (405,)),
]
HOSTS = [
    Case("host missing", b"POST " + CHAT + b" HTTP/1.1\r\n" + _SIZE + b"\r\n\r\n" + BODY, (400,)),
    Case("host twice", post(b"host: y"), (400,)),
    Case("host twice and equal", post(b"host: x"), (400,)),
    Case("host twice in an old version", post(b"host: y", line=b"POST " + CHAT + b" HTTP/1.0"), (400,)),
    Case("host missing in an old version", b"GET /" + MARK + b" HTTP/1.0\r\n\r\n", (404,)),
    Case("host empty", post(b"connection: close", host=b""), (200,), 1),
    Case("host of another server", post(b"connection: close", host=b"169.254.169.254"), (200,), 1),
    Case("host with a port", post(b"connection: close", host=b"x:15001"), (200,), 1),
    Case("host in IPv6", post(b"connection: close", host=b"[::1]:15001"), (200,), 1),
    *[
        Case(f"host {name}", post(b"connection: close", host=host), (400,))
        for name, host in [
            ("with a user", b"me@x"),
            ("with a path", b"x/y"),
            ("with a query", b"x?y"),
            ("with a fragment", b"x#y"),
            ("with a blank", b"x y"),
            ("with two names", b"x, y:80 z"),
            ("with a port that is none", b"x:eighty"),
            ("with two ports", b"x:80:80"),
            ("in half an IPv6", b"[::1"),
            ("in letters beyond ASCII", "\u00fc".encode()),
            ("that is a URL", b"http://x"),
        ]
    ],
    Case("host forwarded", post(b"connection: close", b"x-forwarded-host: evil", b"forwarded: host=evil"), (200,), 1),
]
_LAST = b"connection: close"


def _field(name: str, *fields: bytes, status: int = 200) -> Case:
    return Case(f"field {name}", post(*fields, _LAST), (status,), int(status == 200))


#: By these some servers read another method, path, host or caller than the request names.
MISLEADING = (
    b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-url", b"x-original-uri",
    b"x-rewrite-url", b"x-override-url", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-for", b"forwarded",
    b"x-real-ip", b"x-host", b"x-http-host-override", b"x-envoy-original-path", b"x-accel-redirect", b"proxy",
)  # fmt: skip
FIELDS = [
    _field("with an underscore", b"x_agenttype_hop: 1", b"content_type: text/plain", b"host_: " + MARK),
    _field("authorization with an underscore", b"api_key: " + MARK, b"x_api_key: " + MARK),
    _field("that Connection names", b"x-drop: " + MARK, b"connection: x-drop, keep-alive"),
    _field("of a hop", b"keep-alive: 9", b"te: trailers", b"trailer: a", b"proxy-authorization: " + MARK),
    _field("of ours", b"x-agenttype-reason: " + MARK, b"X-AgentType-Anything: " + MARK),
    _field(
        "that names another request",
        *[name + b": " + MARK for name in MISLEADING],
    ),
    _field("that Connection names among ours", b"connection: authorization, host, content-type, content-length"),
    _field("with a credential", b"authorization: Bearer " + MARK, b"x-api-key: " + MARK, b"cookie: a=" + MARK),
    _field("with a high byte", b"x-odd: \xff\xfe"),
    _field("with a BEL", b"x-odd: \x07", status=400),
    _field("with an ESC", b"x-odd: \x1b[31m", status=400),
    _field("with a DEL", b"x-odd: \x7f", status=400),
    _field("whose name has a blank", b"x odd: 1", status=400),
    _field("whose name has a parenthesis", b"x(odd): 1", status=400),
    _field("whose name has a high byte", b"x-\xff: 1", status=400),
    _field("whose name has quotes", b'"x": 1', status=400),
    _field("whose name ends with a blank", b"x-odd : 1", status=400),
    _field("of 70,000 bytes", b"x-odd: " + b"x" * 70_000, status=431),
    _field("whose name has 70,000 bytes", b"x" * 70_000 + b": 1", status=431),
    _field("a hundred and thirty times", *[b"x-odd: 1"] * 130, status=431),
    _field("ten thousand times", *[b"x-odd: 1"] * 10_000, status=431),
    _field("of 60,000 bytes", b"x-odd: " + b"x" * 60_000),
    Case("field with a target of 70,000 bytes", get(b"/" + b"x" * 70_000), (431,)),
    Case("field with a target of 60,000 bytes", get(b"/" + b"x" * 60_000), (404,)),
    Case(
        "field with a query of 60,000 bytes",
        post(_LAST, line=b"POST " + CHAT + b"?" + b"q" * 60_000 + b" HTTP/1.1"),
        (200,),
        1,
    ),
    Case(
        "field with a query that looks like a head",
        post(_LAST, line=b"POST " + CHAT + b"?a=%0d%0ax:y HTTP/1.1"),
        (200,),
        1,
    ),
    Case(
        "field that is a whole megabyte without an end",
        b"POST " + CHAT + b" HTTP/1.1\r\nhost: x\r\na: " + b"x" * 1_000_000,
        (431,),
    ),
    Case("field that is a line of a megabyte without an end", b"POST /" + b"x" * 1_000_000, (431,)),
]
UPGRADES = [
    Case(
        "upgrade to h2c",
        post(b"upgrade: h2c", b"connection: upgrade, http2-settings", b"http2-settings: AAMAAABk") + BYE,
        (200, 404),
        1,
    ),
    Case(
        "upgrade to a web socket",
        post(b"upgrade: websocket", b"connection: upgrade", b"sec-websocket-key: eA==") + BYE,
        (200, 404),
        1,
    ),
    Case("upgrade of a GET to a web socket", get(CHAT, b"upgrade: websocket", b"sec-websocket-version: 13"), (426,)),
    Case("upgrade to TLS", post(b"upgrade: TLS/1.3", b"connection: upgrade") + BYE, (200, 404), 1),
    Case(
        "upgrade to h2c with a hidden preface",
        post(b"upgrade: h2c", b"connection: upgrade") + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        (200, 400),
        1,
    ),
    Case(
        "upgrade with an encoding that ends in a tab",
        request(CHUNKED + b"\t", b"upgrade: h2c", b"connection: upgrade", body=chunks(BODY) + BYE),
        (400,),
    ),
    Case("expect with the body at once", post(b"expect: 100-continue", _LAST), (200,), 1),
    Case("expect something else", post(b"expect: a-" + MARK, _LAST), (200,), 1),
    Case("expect in an old version", post(b"expect: 100-continue", line=b"POST " + CHAT + b" HTTP/1.0"), (200,), 1),
    Case(
        "keep-alive in an old version", post(b"connection: keep-alive", line=b"POST " + CHAT + b" HTTP/1.0"), (200,), 1
    ),
]
CODINGS = [
    Case(f"coding {name}", post(b"content-encoding: " + coding, _LAST, body=body), (400,))
    for name, coding, body in [
        ("gzip that is true", b"gzip", b"\x1f\x8b\x08\x00" + b"\x00" * 30),
        ("gzip that is a lie", b"gzip", BODY),
        ("deflate", b"deflate", BODY),
        ("brotli", b"br", BODY),
        ("zstd", b"zstd", BODY),
        ("in capitals", b"GZIP", BODY),
        ("gzip after identity", b"identity, gzip", BODY),
        ("an invention", MARK, BODY),
    ]
] + [
    Case(
        "coding identity and then gzip in a field of its own",
        post(b"content-encoding: identity", b"content-encoding: gzip", _LAST),
        (400,),
    ),
    Case("coding identity", post(b"content-encoding: identity", _LAST), (200,), 1),
    Case("coding UTF-7 in its type", post(b"content-type: application/json; charset=utf-7", _LAST), (200,), 1),
    Case("coding UTF-16 in its type", post(b"content-type: application/json; charset=utf-16", _LAST), (200,), 1),
    Case("coding of a form", post(b"content-type: application/x-www-form-urlencoded", _LAST), (200,), 1),
    Case("coding of several parts", post(b"content-type: multipart/form-data; boundary=" + MARK, _LAST), (200,), 1),
]
_IN_RTSP = get(CHAT).replace(b" HTTP/", b" RTSP/")
PIPELINES = [
    Case("pipelined RTSP behind a call", post() + _IN_RTSP, (200, 400), 1),
    Case("pipelined RTSP in pieces", (Say(post()), *[Say(b"%c" % byte) for byte in _IN_RTSP]), (200, 400), 1),
    Case("pipelined calls", post() * 3 + BYE, (200, 200, 200, 404), 3),
    Case("pipelined refusals", get(b"/" + MARK).replace(b"connection: close\r\n", b"") * 10 + BYE, (404,) * 11),
    Case("pipelined garbage behind a call", post() + MARK + b"\r\n\r\n" + post(), (200, 400), 1),
    Case("pipelined behind a close", post(_LAST) + post(), (200,), 1),
    Case("pipelined without end", get(b"/x").replace(b"connection: close\r\n", b"") * 500 + BYE, (404,) * 501),
    Case("pipelined calls without end", post() * 300 + BYE, (200,) * 300 + (404,), 300),
    Case("pipelined calls in small pieces", (*[Say(post())] * 100, Say(BYE)), (200,) * 100 + (404,), 100),
    Case("pipelined garbage behind many calls", post() * 100 + MARK + b"\r\n\r\n" + post(), (200,) * 100 + (400,), 100),
    Case("pipelined behind a refusal", post(body=b"{") + post() + BYE, (400, 200, 404), 1),
    Case(
        "pipelined behind a method that is not allowed",
        request(_SIZE, body=BODY, line=b"PUT " + CHAT + b" HTTP/1.1") + BYE,
        (405, 404),
    ),
    Case("pipelined line ends between calls", post() + b"\r\n\r\n" + BYE, (200, 404), 1),
    Case("pipelined bytes behind the body", post() + b"x" + BYE, (200, 400), 1),
]
