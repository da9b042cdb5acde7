"""The gate's data path as a process, against the vLLM stand-in and an API server that reviews tokens."""

import http.client
import json
import socket
import threading

import pytest
from support.builders.lora_files import an_adapter
from support.programs.gates import a_gate_policy, caller, gate, wanted, write_policy
from support.programs.simulators import simulator
from support.servers.token_reviews import token_reviews
from support.waiting import until

CHAT = "/v1/chat/completions"


def chat(model="base", **members):
    return {"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4, **members}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("door")


@pytest.fixture(scope="module")
def source(place):
    an_adapter(place / "source" / "green")
    an_adapter(place / "source" / "red", rank=8)
    return place / "source"


@pytest.fixture(scope="module")
def green(source):
    return wanted(source / "green")


@pytest.fixture(scope="module")
def red(source):
    return wanted(source / "red")


@pytest.fixture(scope="module")
def vllm():
    with simulator("--store-responses", max_lora_rank=8) as running:
        yield running


@pytest.fixture(scope="module")
def api(place):
    with token_reviews(place / "api") as running:
        yield running


@pytest.fixture(scope="module")
def adapters(place):
    """One engine volume for every gate of this module: they serve the same document to the same engine."""
    (place / "adapters").mkdir()
    return place / "adapters"


@pytest.fixture(scope="module")
def document(green, red):
    callers = (
        caller("team-a/green", green.served_name, "base"),
        caller("team-a/red", red.served_name),
        caller("team-a/stale", "stale@000000000000"),
    )
    return a_gate_policy(green, red, callers=callers)


@pytest.fixture(scope="module")
def running_gate(place, document, vllm, api, source, adapters):
    file = write_policy(place / "policy" / "gate.json", document)
    with gate(file, vllm.url, source, adapters, **api.options()) as running:
        yield running.until_ready()


@pytest.fixture
def door(running_gate, vllm, api):
    vllm.forget()
    yield running_gate
    vllm.heal()
    api.up()
    api.hold.set()


@pytest.fixture
def own_gate(tmp_path):
    """Starts a gate with an engine of its own: two keepers must never share one."""
    document = a_gate_policy(callers=(caller("team-a/green", "base"),))
    file = write_policy(tmp_path / "policy" / "gate.json", document)

    def starting(engine, **options):
        return gate(file, engine.url, tmp_path / "source", tmp_path / "adapters", **options)

    return starting


@pytest.fixture
def token(api):
    return api.token("team-a/green")


def calls(vllm, path=CHAT):
    return vllm.arrived(path)


def test_an_agent_reaches_its_adapter_and_the_base_model(door, token, green):
    answers = [door.post(CHAT, chat(name), token) for name in (green.served_name, "base")]
    assert [(answer.status, answer.json()["model"]) for answer in answers] == [
        (200, green.served_name),
        (200, "base"),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "a", "max_tokens": 1}),
        ("/v1/responses", {"input": "a", "max_output_tokens": 1}),
        ("/v1/messages", {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}),
        ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "a"}]}),
        ("/tokenize", {"prompt": "a"}),
    ],
)
def test_every_path_of_the_allow_list_reaches_the_engine(door, token, path, body):
    assert door.post(path, {"model": "base"} | body, token).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
        ("POST", "/adapters"),
        ("POST", "/invocations"),
        ("GET", "/metrics"),
        ("GET", "/health"),
        ("POST", "/v1/models"),
        ("GET", CHAT),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/%63hat/completions"),
        ("POST", "/v1/../v1/load_lora_adapter"),
        ("POST", "//v1/chat/completions"),
    ],
)
def test_every_other_path_is_404_and_never_reaches_the_engine(door, token, vllm, method, path):
    answer = door.call(method, path, chat(), token)
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (404, "path_not_found")
    assert calls(vllm, path) == []


def test_a_call_without_a_token_is_refused_in_openai_words(door, vllm):
    answer = door.post(CHAT, chat())
    assert answer.status == 401
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["type"] == "authentication_error"
    assert calls(vllm) == []


def test_a_call_without_a_token_is_refused_in_anthropic_words(door):
    answer = door.post("/v1/messages", {"model": "base"})
    assert answer.status == 401
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize("token", ["not-a-jwt", "header.unknown.signature", "a.b.c " * 2000])
def test_a_token_that_the_api_server_does_not_know_is_refused(door, token):
    assert door.post(CHAT, chat(), token).status == 401


def test_a_token_for_another_audience_is_refused(door, api):
    token = api.token("team-a/green", audiences=("https://kubernetes.default.svc",))
    assert door.post(CHAT, chat(), token).status == 401


def test_a_user_who_is_no_service_account_is_refused(door, api):
    assert door.post(CHAT, chat(), api.token("team-a/green", username="admin")).status == 401


def test_an_account_that_is_no_caller_is_refused(door, api):
    answer = door.post(CHAT, chat(), api.token("team-b/stranger"))
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (403, "caller_not_allowed")


@pytest.mark.parametrize("model", ["base", "nope", "../green"])
def test_a_model_that_is_not_the_callers_is_refused_whether_it_exists_or_not(door, api, vllm, model):
    assert door.post(CHAT, chat(model), api.token("team-a/red")).status == 404
    assert calls(vllm) == []


def test_another_agents_adapter_is_refused(door, api, green, vllm):
    answer = door.post(CHAT, chat(green.served_name), api.token("team-a/red"))
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (404, "model_not_found")
    assert calls(vllm) == []


def test_a_name_that_the_caller_has_but_nobody_wants_is_404(door, api):
    answer = door.post(CHAT, chat("stale@000000000000"), api.token("team-a/stale"))
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"messages": []}',
        b'{"model": 3}',
        b'{"model": ""}',
        b'{"model": ["base"]}',
        b'{"model": "base", "model": "other"}',
        b'{"model": "base", "mod\\u0065l": "other"}',
        b'{"model": "base", "temperature": NaN}',
        b"[" * 100_000,
        '{"model": "base"}'.encode("utf-16"),
    ],
)
def test_a_body_that_two_readers_could_read_differently_is_refused(door, token, vllm, body):
    answer = door.post(CHAT, body, token)
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (400, "malformed_body")
    assert calls(vllm) == []


def test_a_response_that_the_engine_keeps_is_reached_by_its_name(door, token, vllm):
    name = door.post("/v1/responses", {"model": "base", "input": "a", "max_output_tokens": 1}, token).json()["id"]
    answer = door.post(f"/v1/responses/{name}/cancel", {}, token, x_session_id="run-1")
    assert (answer.status, answer.json()["error"]["message"]) == (400, "Cannot cancel a synchronous response.")
    (arrival,) = vllm.arrived(f"/v1/responses/{name}/cancel")
    assert arrival["headers"]["x-session-id"] == "run-1"
    unknown = door.post("/v1/responses/resp_nothing/cancel", {}, token)
    assert (unknown.status, unknown.json()["error"]["param"]) == (404, "response_id")


def test_a_stored_response_is_for_callers_only(door, api):
    assert door.post("/v1/responses/resp_1/cancel", {}, api.token("team-a/nobody")).status == 403
    assert door.post("/v1/responses/resp_1/cancel", {}).status == 401


def test_the_body_passes_byte_for_byte_and_the_token_stays_here(door, token, vllm):
    body = b'{ "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],\n "model" : "base","max_tokens":1 }'
    answer = door.post(
        CHAT, body, token, cookie="a=b", x_api_key="k", x_request_id="another agent's", traceparent="00-1"
    )
    assert answer.status == 200
    (arrival,) = calls(vllm)
    assert arrival["headers"].keys().isdisjoint({"authorization", "cookie", "x-api-key", "x-request-id"})
    assert arrival["headers"]["traceparent"] == "00-1"
    assert arrival["headers"]["content-length"] == str(len(body))


def test_the_list_of_models_holds_the_callers_own(door, token, api, green, red):
    names = [
        [card["id"] for card in door.call("GET", "/v1/models", token=own).json()["data"]]
        for own in (token, api.token("team-a/red"))
    ]
    assert names == [["base", green.served_name], [red.served_name]]


def test_calls_with_one_token_at_one_time_share_one_review(door, api):
    token = api.token("team-a/green")
    api.hold.clear()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(door.post(CHAT, chat(), token).status)) for _ in range(5)]
    for thread in threads:
        thread.start()
    until(lambda: token in api.asked)
    api.hold.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * 5
    assert api.asked.count(token) == 1


def test_a_review_is_remembered_for_the_next_call(door, api):
    token = api.token("team-a/green")
    assert [door.post(CHAT, chat(), token).status for _ in range(3)] == [200] * 3
    assert api.asked.count(token) == 1


def test_an_unreachable_api_server_lets_nobody_in_fail_closed(door, api, vllm):
    token = api.token("team-a/green")
    api.down()
    answer = door.post(CHAT, chat(), token)
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "token_review_unavailable")
    assert calls(vllm) == []
    api.up()
    assert door.post(CHAT, chat(), token).status == 200


def test_a_refused_connection_to_the_api_server_lets_nobody_in_fail_closed(own_gate, api, token):
    with simulator() as engine, own_gate(engine, **api.options() | {"api_server": "https://127.0.0.1:1"}) as door:
        answer = door.until_ready().post(CHAT, chat(), token)
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "token_review_unavailable")


def test_a_rotated_token_of_the_gates_own_is_read_anew(door, api):
    before = api.own_token.read_text()
    api.own_token.write_text("rotated.own.token")
    try:
        assert door.post(CHAT, chat(), api.token("team-a/green")).status == 200
    finally:
        api.own_token.write_text(before)


def test_an_api_server_with_another_authority_is_not_believed(tmp_path, own_gate, api):
    with (
        token_reviews(tmp_path / "impostor") as impostor,
        simulator() as engine,
        own_gate(engine, **impostor.options() | {"api_ca": api.authority}) as door,
    ):
        answer = door.until_ready().post(CHAT, chat(), impostor.token("team-a/green"))
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "token_review_unavailable")
        assert impostor.asked == []


def opened(door, token, body):
    connection = http.client.HTTPConnection("127.0.0.1", door.ports["gate"], timeout=60)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("POST", CHAT, json.dumps(body), headers)
    return connection


def test_a_stream_passes_event_by_event(door, token, vllm):
    vllm.fault(CHAT, hang_after_bytes=300, times=1)
    connection = opened(door, token, chat(max_tokens=50, stream=True))
    response = connection.getresponse()
    assert response.read1(64).startswith(b"data: ")
    connection.close()


def test_a_whole_stream_ends_as_the_engine_ended_it(door, token):
    answer = door.post(CHAT, chat(max_tokens=20, stream=True), token)
    assert answer.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_that_the_engine_cuts_stays_a_cut(door, token, vllm):
    vllm.fault(CHAT, reset_after_bytes=300, times=1)
    connection = opened(door, token, chat(max_tokens=50, stream=True))
    response = connection.getresponse()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        response.read()
    connection.close()


def test_a_caller_that_leaves_ends_the_call_at_the_engine(door, token, vllm):
    vllm.fault(CHAT, hang_after_bytes=300, times=1)
    connection = opened(door, token, chat(max_tokens=50, stream=True))
    connection.getresponse().read1(64)
    connection.close()
    until(lambda: calls(vllm)[0]["outcome"] == "aborted", lambda: str(calls(vllm)))


def test_an_engine_that_hangs_up_before_it_answers_is_502(door, token, vllm):
    vllm.fault(CHAT, reset_after_bytes=0, times=1)
    answer = door.post(CHAT, chat(), token)
    assert (answer.status, answer.headers["x-agenttype-reason"]) == (502, "upstream_failed")


def test_an_error_of_the_engine_passes_as_it_is(door, token, vllm):
    vllm.fault(CHAT, status=400, body={"error": {"message": "too long"}}, times=1)
    answer = door.post(CHAT, chat(), token)
    assert (answer.status, answer.json()["error"]["message"]) == (400, "too long")


def test_a_body_larger_than_the_limit_is_413(own_gate, api, token):
    with simulator() as engine, own_gate(engine, max_body=1000, **api.options()) as door:
        answer = door.until_ready().post(CHAT, chat(padding="x" * 2000), token)
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (413, "body_too_large")


def test_more_bodies_than_fit_in_memory_are_told_to_come_back(own_gate, api, token):
    with simulator() as engine, own_gate(engine, max_held=1500, **api.options()) as door:
        door.until_ready()
        engine.fault(CHAT, delay=1.0, times=1)
        slow = threading.Thread(target=door.post, args=(CHAT, chat(padding="x" * 1000), token))
        slow.start()
        until(lambda: bool(engine.arrived(CHAT)))
        answer = door.post(CHAT, chat(padding="x" * 1000), token)
        assert (answer.status, answer.headers["x-agenttype-reason"]) == (503, "overloaded")
        slow.join()
        assert door.post(CHAT, chat(padding="x" * 1000), token).status == 200


def test_calls_are_counted_by_agent_model_and_code(door, token):
    door.post(CHAT, chat("other"), token)
    name = 'agenttype_gate_requests_total{agent_type="team-a/green",code="404",model="other"}'
    assert door.metric(name) >= 1
    assert door.metric('agenttype_gate_refusals_total{reason="model_not_found"}') >= 1
    assert 'agenttype_gate_reviews_total{result="accepted"}' in door.control("/metrics").body.decode()


def test_bytes_that_are_no_http_do_no_harm(door, token):
    with socket.create_connection(("127.0.0.1", door.ports["gate"]), timeout=60) as raw:
        raw.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")
    assert door.post(CHAT, chat(), token).status == 200
