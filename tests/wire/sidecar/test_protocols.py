"""Every protocol at every backend: answered and metered, cut where it is cut, refused where nobody speaks it."""

import http.client
import json

import pytest
from agenttype_api import policy as api
from support.programs.sidecars import a_backend, a_limit, a_policy, a_route, sidecar
from support.programs.simulators import simulator
from support.servers.providers import RESPONSE_ID, SAID, provider

HI = [{"role": "user", "content": f"[[say={SAID}]]"}]
CHAT, TEXT, RESPONSES, EMBEDDINGS = "/chat/completions", "/completions", "/responses", "/embeddings"
MESSAGES, COUNT = "/messages", "/messages/count_tokens"
BODIES = {
    CHAT: {"model": "m", "messages": HI, "max_tokens": 20},
    TEXT: {"model": "m", "prompt": HI[0]["content"], "max_tokens": 20},
    RESPONSES: {"model": "m", "input": HI[0]["content"], "max_output_tokens": 20},
    EMBEDDINGS: {"model": "m", "input": "hello"},
    MESSAGES: {"model": "m", "messages": HI, "max_tokens": 20},
    COUNT: {"model": "m", "messages": HI},
}
OF_OPENAI = (CHAT, TEXT, RESPONSES)
BASES = ["", "/v1", "/openai", "/openai/v1", "/anthropic", "/anthropic/v1"]


def outside(url, protocol, **members):
    """The policy of an agent whose only backend is a provider with a key."""
    wire = api.WireProtocol(protocol)
    backend = a_backend(
        url, protocols=(wire,), credential=api.Credential.API_KEY, counts_bytes=True, max_model_len=8192, **members
    )
    return a_policy(url, 100_000, backends=(backend,), routes=(a_route("*", model=None),))


def with_key(car):
    (car.folder / "credentials" / "shared").write_text("a-key")
    return car


@pytest.fixture(scope="module")
def vllm():
    with simulator("--store-responses") as engine:
        yield engine


@pytest.fixture(scope="module")
def embedder():
    with simulator(runner="pooling", convert="embed") as engine:
        yield engine


@pytest.fixture(scope="module")
def inside(vllm):
    with sidecar(policy=a_policy(vllm.url, 10_000_000)) as car:
        yield car


@pytest.fixture(scope="module")
def openai():
    with provider("OpenAI") as running:
        yield running


@pytest.fixture(scope="module")
def anthropic():
    with provider("Anthropic") as running:
        yield running


@pytest.fixture(scope="module")
def at_openai(openai):
    with sidecar(policy=outside(openai.url, "OpenAI")) as car:
        yield with_key(car)


@pytest.fixture(scope="module")
def at_anthropic(anthropic):
    with sidecar(policy=outside(anthropic.url, "Anthropic")) as car:
        yield with_key(car)


@pytest.fixture
def told(openai, anthropic):
    """Both providers, with nothing arrived yet."""
    for each in (openai, anthropic):
        each.arrived.clear()
        each.breaks_off = False
    yield {"OpenAI": openai, "Anthropic": anthropic}
    openai.breaks_off = anthropic.breaks_off = False


def charged(car):
    return tuple(int(car.total("agenttype_llm_tokens_total", f'direction="{each}"')) for each in ("input", "output"))


def asked(car, path, **more):
    """Call, and return the answer with what it added to the charges."""
    before = charged(car)
    answer = car.post("/v1" + path, BODIES[path] | more)
    return answer, tuple(now - then for now, then in zip(charged(car), before, strict=True))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES, MESSAGES, COUNT])
def test_every_spelling_reaches_the_engine_under_its_own_path(inside, vllm, base, path):
    vllm.forget()
    assert inside.post(base + path, BODIES[path]).status == 200
    assert [arrival["path"] for arrival in vllm.arrived()] == ["/v1" + path]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES, MESSAGES])
def test_an_engines_answer_is_charged_as_the_engine_counted_it(inside, vllm, path, stream):
    vllm.forget()
    answer, cost = asked(inside, path, stream=stream)
    assert answer.status == 200
    assert b"three" in answer.body
    (arrival,) = vllm.arrived()
    assert cost == (arrival["prompt_tokens"], arrival["completion_tokens"])


def test_an_engine_that_embeds_is_charged_for_what_it_read(embedder):
    with sidecar(policy=a_policy(embedder.url, 1000)) as car:
        answer, cost = asked(car, EMBEDDINGS)
        assert len(answer.json["data"][0]["embedding"]) > 1
        assert cost == (answer.json["usage"]["prompt_tokens"], 0)
        assert embedder.arrived("/v1/embeddings")[0]["body"] == BODIES[EMBEDDINGS] | {"model": "base"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", OF_OPENAI)
def test_a_provider_of_openais_protocol_is_charged_as_it_reports(at_openai, told, path, stream):
    answer, cost = asked(at_openai, path, stream=stream)
    assert answer.status == 200
    assert b"three" in answer.body
    assert cost == (40, 3)
    (arrival,) = told["OpenAI"].arrived
    assert arrival.headers["authorization"] == "Bearer a-key"


@pytest.mark.parametrize("stream", [False, True])
def test_a_provider_of_anthropics_protocol_is_charged_with_its_cache(at_anthropic, told, stream):
    answer, cost = asked(at_anthropic, MESSAGES, stream=stream)
    assert answer.status == 200
    assert b"three" in answer.body
    assert cost == (40, 3)
    (arrival,) = told["Anthropic"].arrived
    assert arrival.headers["x-api-key"] == "a-key"


def test_a_providers_embeddings_are_charged_as_input(at_openai, told):
    answer, cost = asked(at_openai, EMBEDDINGS)
    assert (answer.status, cost) == (200, (40, 0))
    assert told["OpenAI"].arrived[0].body == BODIES[EMBEDDINGS]


@pytest.mark.parametrize("path", [MESSAGES, COUNT])
def test_a_provider_that_speaks_openai_is_not_asked_in_anthropics(at_openai, told, path):
    answer = at_openai.post("/v1" + path, BODIES[path])
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert "Anthropic" in answer.json["error"]["message"]
    assert "OpenAI" in answer.json["error"]["message"]
    assert told["OpenAI"].arrived == []


@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES, EMBEDDINGS])
def test_a_provider_that_speaks_anthropic_is_not_asked_in_openais(at_anthropic, told, path):
    answer = at_anthropic.post("/v1" + path, BODIES[path])
    assert (answer.status, answer.json["error"]["code"]) == (400, "wrong_protocol")
    assert "speaks Anthropic only" in answer.json["error"]["message"]
    assert told["Anthropic"].arrived == []


@pytest.mark.parametrize("path", [CHAT, TEXT, RESPONSES])
def test_a_stream_that_ends_without_its_protocols_end_is_passed_on_as_a_cut(at_openai, told, path):
    told["OpenAI"].breaks_off = True
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        at_openai.post("/v1" + path, BODIES[path] | {"stream": True})


def test_a_message_that_ends_without_its_protocols_end_is_passed_on_as_a_cut(at_anthropic, told):
    told["Anthropic"].breaks_off = True
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        at_anthropic.post("/v1/messages", BODIES[MESSAGES] | {"stream": True})


@pytest.mark.parametrize(("path", "whole"), [(RESPONSES, 2500), (MESSAGES, 500)])
def test_a_stream_of_the_engine_that_is_cut_stays_a_cut_and_is_charged(inside, vllm, path, whole):
    vllm.fault("/v1" + path, reset_after_bytes=whole, times=1)
    before = charged(inside)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        inside.post("/v1" + path, BODIES[path] | {"stream": True})
    assert charged(inside)[1] > before[1]
    assert inside.held() == 0


def test_counting_tokens_costs_nothing_even_when_nothing_is_left(vllm):
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests"),))) as car:
        car.chat()
        answer = car.post("/v1/messages/count_tokens", BODIES[COUNT])
        assert (answer.status, answer.json["input_tokens"] > 0) == (200, True)
        assert car.total("agenttype_budget_spent", 'limit="run"') == 1


def test_one_model_is_shown_and_an_unknown_one_is_not(vllm):
    with sidecar(policy=a_policy(vllm.url, routes=(a_route("gpt-4o", "org/*"),))) as car:
        assert car.get("/v1/models/gpt-4o").json["id"] == "gpt-4o"
        assert car.get("/openai/v1/models/org%2Fname").json["id"] == "org/name"
        assert car.get("/v1/models/claude").status == 404


# Responses that backends keep.


def test_a_response_goes_on_where_the_last_one_ended(inside):
    first = inside.post("/v1/responses", BODIES[RESPONSES]).json["id"]
    second = inside.post("/v1/responses", BODIES[RESPONSES] | {"previous_response_id": first})
    assert (second.status, second.json["previous_response_id"]) == (200, first)
    assert inside.get(f"/v1/responses/{first}").json["id"] == first
    assert inside.get(f"/v1/responses/{first}/cancel", method="POST").status == 400


def test_a_streamed_response_is_remembered_too(inside):
    answer = inside.post("/v1/responses", BODIES[RESPONSES] | {"stream": True})
    name = json.loads(answer.events[-1])["response"]["id"]
    assert inside.get(f"/v1/responses/{name}").status == 200


def test_a_response_of_somebody_else_is_nothing_whoever_names_it(inside, vllm):
    with sidecar(policy=a_policy(vllm.url)) as other:
        name = other.post("/v1/responses", BODIES[RESPONSES]).json["id"]
        assert other.get(f"/v1/responses/{name}").status == 200
    vllm.forget()
    assert inside.get(f"/v1/responses/{name}").status == 404
    assert inside.get(f"/v1/responses/{name}", method="DELETE").status == 404
    answer = inside.post("/v1/responses", BODIES[RESPONSES] | {"previous_response_id": name})
    assert (answer.status, answer.json["error"]["param"]) == (404, "previous_response_id")
    item = inside.post("/v1/responses", BODIES[RESPONSES] | {"input": [{"type": "item_reference", "id": name}]})
    assert item.status == 404
    assert vllm.arrived() == []


def test_a_response_cannot_be_given_a_name_by_its_caller(inside):
    assert inside.post("/v1/responses", BODIES[RESPONSES] | {"request_id": "resp_mine"}).status == 400


def test_what_is_deleted_is_forgotten(at_openai, told):
    at_openai.post("/v1/responses", BODIES[RESPONSES])
    assert at_openai.get(f"/v1/responses/{RESPONSE_ID}/input_items").json["object"] == "list"
    assert at_openai.get(f"/v1/responses/{RESPONSE_ID}/cancel", method="POST").status == 200
    assert at_openai.get(f"/v1/responses/{RESPONSE_ID}", method="DELETE").json["deleted"]
    assert at_openai.get(f"/v1/responses/{RESPONSE_ID}").status == 404
    assert all(arrival.headers["authorization"] == "Bearer a-key" for arrival in told["OpenAI"].arrived)


def test_a_response_that_is_not_to_be_kept_is_not_remembered(at_openai):
    at_openai.post("/v1/responses", BODIES[RESPONSES] | {"store": False})
    assert at_openai.get(f"/v1/responses/{RESPONSE_ID}").status == 404


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"background": True}, "unmeterable"),
        ({"tools": [{"type": "web_search"}]}, "unmeterable"),
        ({"tools": [{"type": "mcp", "server_url": "https://elsewhere.test"}]}, "hosted_tool"),
    ],
)
def test_what_nobody_could_measure_or_watch_is_refused(at_openai, told, more, code):
    answer = at_openai.post("/v1/responses", BODIES[RESPONSES] | more)
    assert (answer.status, answer.json["error"]["code"]) == (400, code)
    assert told["OpenAI"].arrived == []


def test_the_callers_own_tools_pass(at_openai, told):
    tools = [{"type": "function", "name": "f", "parameters": {}}, {"type": "custom", "name": "g"}]
    assert at_openai.post("/v1/responses", BODIES[RESPONSES] | {"tools": tools}).status == 200
    assert told["OpenAI"].arrived[0].body["tools"] == tools


def test_tool_servers_that_anthropic_would_call_are_refused(at_anthropic, told):
    servers = {"mcp_servers": [{"type": "url", "url": "https://elsewhere.test", "name": "x"}]}
    assert at_anthropic.post("/v1/messages", BODIES[MESSAGES] | servers).status == 400
    assert told["Anthropic"].arrived == []


# The session that calls belong to.


@pytest.mark.parametrize("path", [CHAT, RESPONSES, COUNT])
def test_all_calls_of_a_run_carry_one_session(inside, vllm, path):
    vllm.forget()
    inside.post("/v1" + path, BODIES[path])
    inside.post("/v1" + CHAT, BODIES[CHAT])
    one, other = (arrival["headers"]["x-session-id"] for arrival in vllm.arrived())
    assert one == other
    assert len(one) == 32


def test_the_callers_own_session_wins_where_it_is_sane(inside, vllm):
    vllm.forget()
    inside.post("/v1" + CHAT, BODIES[CHAT], {"x-session-id": "chat-7"})
    inside.post("/v1" + CHAT, BODIES[CHAT], {"x-session-id": "x" * 129})
    inside.post("/v1" + CHAT, BODIES[CHAT], {"x-session-id": "two words"})
    own, long, blank = (arrival["headers"]["x-session-id"] for arrival in vllm.arrived())
    assert own == "chat-7"
    assert long == blank != "chat-7"


def test_a_run_keeps_its_session_over_a_restart(vllm, tmp_path):
    vllm.forget()
    for _ in range(2):
        with sidecar(a_policy(vllm.url), tmp_path) as car:
            car.chat()
    one, other = (arrival["headers"]["x-session-id"] for arrival in vllm.arrived())
    assert one == other


# What clients try besides.


def test_a_websocket_is_declined_at_once(inside):
    headers = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
    headers |= {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    answer = inside.get("/v1/responses", **headers)
    assert (answer.status, answer.json["error"]["code"]) == (426, "websocket_unsupported")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/openai/v1", "/openai/v1/", "/anthropic", "/api/hello", "/anthropic/api/hello"]
)
def test_a_greeting_is_answered_and_is_no_refused_call(inside, path):
    before = inside.total("agenttype_refusals_total")
    assert (inside.get(path, method="HEAD").status, inside.get(path).status) == (200, 200)
    assert "/v1/messages" in inside.get(path).json["paths"]
    assert inside.total("agenttype_refusals_total") == before


@pytest.mark.parametrize("path", ["/api/chat", "/v1beta/models/gemini:generateContent", "/v1/audio/speech"])
def test_who_speaks_another_protocol_is_told_what_is_spoken(inside, path):
    answer = inside.post(path, {})
    assert (answer.status, answer.json["error"]["code"]) == (404, "path_not_found")
    assert "/v1/chat/completions" in answer.json["error"]["message"]
