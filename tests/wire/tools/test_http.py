"""Plain HTTP APIs through the sidecar: what may be called, what goes with it, and what comes back."""

import http.client
import json
import socket

import pytest
from agenttype_api import policy as api
from support.programs.sidecars import a_policy, call, sidecar
from support.servers.recording_upstream import recording
from support.servers.scripted_upstream import Close, Say
from support.waiting import until

NOBODY = "http://127.0.0.1:9"
SECRET = "canary-5f1d0c"


def an_answer(body=b"{}", status=b"200 OK", head=b""):
    return [Say(b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status, head, len(body), body))]


def an_api(url, name="orders", routes=(("GET", "/v1/*"), ("POST", "/v1/orders")), **members):
    allowed = tuple(api.HttpRoute(methods=(method,), path=path) for method, path in routes)
    return api.Tool(name=name, protocol=api.ToolProtocol.HTTP, url=url, routes=allowed, **members)


def limited(**limits):
    return api.ToolLimits(**limits)


@pytest.fixture(scope="module")
def server():
    with recording() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def car(server):
    url = f"{server.url}/api"
    tools = (
        an_api(url),
        an_api(url, "known", credential_file="tools/known/credential"),
        an_api(url, "keyed", credential_file="tools/keyed/credential", credential_header="x-api-key"),
        an_api(url, "small", limits=limited(argument_bytes=10, result_bytes=10)),
        an_api(url, "slow", limits=limited(timeout_ms=300)),
        an_api(url, "minute", limits=limited(calls_per_minute=1)),
        an_api(url, "run", limits=limited(calls_per_run=1)),
        an_api(NOBODY, "dead"),
    )
    with sidecar(policy=a_policy(NOBODY, tools=tools)) as running:
        for name in ("known", "keyed"):
            folder = running.folder / "credentials" / "tools" / name
            folder.mkdir(parents=True)
            (folder / "credential").write_text(SECRET + "\n")
        yield running


@pytest.fixture(autouse=True)
def _forget(server):
    server.forget()


def test_an_allowed_path_reaches_the_api_below_its_address_with_its_query(car, server):
    server.answers(an_answer(b'{"id":17}', head=b"content-type: application/json\r\n"))

    answer = car.get("/tools/orders/v1/orders/17?full=yes&a=b%20c")

    assert (answer.status, answer.json) == (200, {"id": 17})
    assert server.arrivals[0].target == b"/api/v1/orders/17?full=yes&a=b%20c"


def test_a_body_and_its_type_pass_as_they_are(car, server):
    server.answers(an_answer())

    car.post("/tools/orders/v1/orders", b"a=1&b=2", {"content-type": "application/x-www-form-urlencoded"})

    arrival = server.arrivals[0]
    assert (arrival.method, arrival.body) == (b"POST", b"a=1&b=2")
    assert arrival.all(b"content-type") == [b"application/x-www-form-urlencoded"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/v1/orders"), ("POST", "/v1/orders/17"), ("GET", "/v2/orders"), ("GET", ""), ("GET", "/")],
)
def test_what_no_route_allows_is_not_sent(car, server, method, path):
    answer = car.get(f"/tools/orders{path}", method)

    assert (answer.status, answer.json["error"]["code"]) == (403, "tool_not_allowed")
    assert answer.headers["x-agenttype-reason"] == "tool_not_allowed"
    assert not server.arrivals


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/./orders",
        "/v1//orders",
        "//v1/orders",
        "/v1/%2e%2e/admin",
        "/v1/%2E./admin",
        "/v1/a%2fb",
        "/v1/a%5cb",
        "/v1/a;/../b",
        "/v1/orders;jsessionid=1",
        "/v1/a%3bb",
        "/v1/a%00",
        "/v1/%252e%252e/admin",
        "/v1/%c0%ae%c0%ae/admin",
        "/v1/%ef%bc%8e%ef%bc%8e/admin",
        "/v1/a%3fb",
        "/v1/a%23b",
        "/v1/%6frders",
        "/v1/a%0d%0ab",
        "/v1/a|b",
    ],
)
def test_a_path_that_two_readers_could_read_differently_is_refused(car, server, path):
    with socket.create_connection(("127.0.0.1", car.data_port), timeout=10) as caller:
        caller.sendall(f"GET /tools/orders{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        head = caller.makefile("rb").read()

    assert head.split(b" ", 2)[1] in (b"400", b"404")
    assert not server.arrivals


def test_letters_of_other_alphabets_pass_encoded(car, server):
    server.answers(an_answer())

    assert car.get("/tools/orders/v1/gr%C3%BC%C3%9Fe").status == 200
    assert server.arrivals[0].target == b"/api/v1/gr%C3%BC%C3%9Fe"


def test_the_agents_own_proofs_and_words_for_other_hops_stay_here(car, server):
    server.answers(an_answer())
    said = {
        "authorization": "Bearer mine",
        "cookie": "a=b",
        "x-api-key": "mine",
        "x-forwarded-for": "10.0.0.1",
        "x-http-method-override": "DELETE",
        "x-original-url": "/admin",
        "x-agenttype-process": "1",
        "te": "trailers",
        "x-request-id": "7",
    }

    car.get("/tools/orders/v1/a", **said)

    assert [name for name, _ in server.arrivals[0].fields if name.decode() in said] == [b"x-request-id"]


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [("known", b"authorization", f"Bearer {SECRET}"), ("keyed", b"x-api-key", SECRET)],
)
def test_the_sidecar_adds_its_credential_in_place_of_the_agents(car, server, name, header, value):
    server.answers(an_answer())

    car.get(f"/tools/{name}/v1/a", **{header.decode(): "mine"})

    assert server.arrivals[0].all(header) == [value.encode()]


def test_a_replaced_credential_is_used_without_a_restart(car, server):
    file = car.folder / "credentials" / "tools" / "keyed" / "credential"
    file.write_text("the-next")

    def sent():
        server.answers(an_answer())
        car.get("/tools/keyed/v1/a")
        return server.arrivals[-1].all(b"x-api-key")

    until(lambda: sent() == [b"the-next"])
    file.write_text(SECRET)
    until(lambda: sent() == [SECRET.encode()])


def test_the_credential_is_nowhere_that_the_agent_or_a_log_can_see(car, server):
    echo = b"x-echo: Bearer %s\r\nset-cookie: a=b\r\nx-agenttype-remaining: 9\r\n" % SECRET.encode()
    server.answers(an_answer(head=echo, status=b"401 Unauthorized"), [Close()], [Close()])

    first, second = car.get("/tools/known/v1/a"), car.get("/tools/known/v1/a")

    assert (first.status, second.status) == (401, 502)
    assert not {"x-echo", "set-cookie", "x-agenttype-remaining"} & set(first.headers)
    seen = [repr(first), repr(second), car.log, car.control("/metrics").body.decode()]
    seen += [car.control(f"/agenttype/v1/{page}").body.decode() for page in ("tools", "calls", "policy", "status")]
    assert not any(SECRET in text for text in seen)


def test_a_missing_credential_is_refused_before_anything_is_sent(server, tmp_path):
    tool = an_api(server.url, credential_file="tools/orders/credential")
    with sidecar(policy=a_policy(NOBODY, tools=(tool,)), folder=tmp_path) as car:
        answer = car.get("/tools/orders/v1/a")

    assert (answer.status, answer.json["error"]["code"]) == (503, "credential_unavailable")
    assert not server.arrivals


def test_a_redirect_is_passed_on_and_not_followed(car, server):
    server.answers(an_answer(status=b"302 Found", head=b"location: http://169.254.169.254/latest\r\n"))

    answer = car.get("/tools/orders/v1/a")

    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/latest")
    assert len(server.arrivals) == 1


def test_a_message_that_is_too_large_is_refused(car, server):
    answer = car.post("/tools/small/v1/orders", b"x" * 11)

    assert (answer.status, answer.json["error"]["code"]) == (413, "arguments_too_large")
    assert not server.arrivals


def test_a_result_that_is_too_large_becomes_an_error(car, server):
    server.answers(an_answer(b"x" * 10), an_answer(b"x" * 11))

    fits, does_not = car.get("/tools/small/v1/a"), car.get("/tools/small/v1/a")

    assert (fits.status, fits.body) == (200, b"x" * 10)
    assert (does_not.status, does_not.json["error"]["code"]) == (502, "result_too_large")


def test_a_server_that_is_too_slow_is_an_error_in_time(car, server):
    server.answers([])

    answer = car.get("/tools/slow/v1/a")

    assert (answer.status, answer.json["error"]["code"]) == (504, "tool_timeout")
    assert car.total("agenttype_tool_calls_total", 'server="slow"', 'outcome="timeout"') == 1


def test_a_server_that_is_down_is_an_error(car):
    assert car.get("/tools/dead/v1/a").json["error"]["code"] == "tool_unavailable"


def test_a_minute_holds_so_many_calls_and_says_when_the_next_may_go(car, server):
    server.answers(an_answer())

    first, second = car.get("/tools/minute/v1/a"), car.get("/tools/minute/v1/a")

    assert (first.status, second.status) == (200, 429)
    assert 0 < int(second.headers["retry-after"]) <= 60
    assert len(server.arrivals) == 1


def test_a_run_holds_so_many_calls_and_asking_again_does_not_help(car, server):
    server.answers(an_answer())

    first, second = car.get("/tools/run/v1/a"), car.get("/tools/run/v1/a")

    assert (first.status, second.status) == (200, 429)
    assert "retry-after" not in second.headers
    assert second.headers["x-should-retry"] == "false"
    assert second.json["error"]["code"] == "tool_calls_exhausted"


def test_the_calls_of_a_run_are_counted_over_a_kill(server, tmp_path):
    policy = a_policy(NOBODY, tools=(an_api(server.url, limits=limited(calls_per_run=2)),))
    server.answers(an_answer(), an_answer())
    with sidecar(policy=policy, folder=tmp_path) as car:
        before = [car.get("/tools/orders/v1/a").status]
        car.process.kill()
        car.process.wait()
    with sidecar(policy=policy, folder=tmp_path) as car:
        after = [car.get("/tools/orders/v1/a").status for _ in range(3)]

    assert before + after == [200, 200, 429, 429]


def test_a_call_that_was_never_sent_does_not_count(server, tmp_path):
    def policy(url):
        return a_policy(NOBODY, tools=(an_api(url, limits=limited(calls_per_run=1)),))

    server.answers(an_answer())
    with sidecar(policy=policy(NOBODY), folder=tmp_path) as car:
        missed = car.get("/tools/orders/v1/a").status
        car.set_policy(policy(server.url))
        until(lambda: car.control("/agenttype/v1/policy").json["policyHash"] == policy(server.url).hash())
        sent = [car.get("/tools/orders/v1/a").status for _ in range(2)]

    assert (missed, sent) == (502, [200, 429])


def test_an_answer_streams_as_it_arrives_and_a_cut_stays_a_cut(car, server):
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    server.answers([Say(chunked), Close()])

    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        car.get("/tools/orders/v1/a")


def test_calls_are_counted_under_the_routes_of_the_policy(car, server):
    server.answers(an_answer(), an_answer(status=b"404 Not Found"))

    for name in ("one", "two"):
        car.get(f"/tools/orders/v1/{name}")

    labels = ('server="orders"', 'tool="GET /v1/*"')
    assert car.total("agenttype_tool_calls_total", *labels, 'outcome="ok"') >= 1
    assert car.total("agenttype_tool_calls_total", *labels, 'outcome="tool_error"') >= 1


def test_an_unknown_api_is_not_found(car):
    assert car.get("/tools/unknown/v1/a").json["error"]["code"] == "tool_server_not_found"


def test_an_api_is_no_mcp_server_and_the_other_way_round(car):
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()

    assert call(car.url, "POST", "/mcp/orders", message).status == 404
