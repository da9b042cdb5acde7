"""An agent's LLM calls through the sidecar, as processes on loopback sockets."""

import json

import pytest
from agenttype_api import policy as api
from support.programs.sidecars import TOKEN, a_backend, a_chat, a_limit, a_policy, a_route, sidecar, together
from support.programs.simulators import simulator
from support.waiting import until

CHAT, TEXT, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/messages"


@pytest.fixture(scope="module")
def engine():
    with simulator() as vllm:
        yield vllm


@pytest.fixture(scope="module")
def shared(engine):
    with sidecar(policy=a_policy(engine.url, 1_000_000)) as car:
        yield car


@pytest.fixture
def vllm(engine):
    engine.heal()
    engine.forget()
    return engine


@pytest.mark.parametrize("base", ["", "/v1", "/openai", "/openai/v1", "/anthropic", "/anthropic/v1"])
@pytest.mark.parametrize(
    ("path", "upstream"),
    [("/chat/completions", CHAT), ("/messages", MESSAGES)],
)
def test_every_spelling_of_a_path_reaches_the_same_operation(shared, vllm, base, path, upstream):
    assert shared.post(base + path, a_chat(max_tokens=4)).status == 200
    assert [request["path"] for request in vllm.arrived()] == [upstream]


def test_a_plain_completion_is_answered(shared, vllm):
    answer = shared.post("/openai/v1/completions", {"model": "m", "prompt": "Once"})
    assert answer.status == 200
    assert vllm.arrived(TEXT)[0]["body"]["max_tokens"] == 16


def test_the_backend_gets_the_routed_model_and_otherwise_what_the_agent_wrote(shared, vllm):
    raw = b'{ "model" : "gpt-4o", "messages":[{"role":"user","content":"h\\u00fc"}],\n"max_tokens": 7, "top_p":1.0 }'
    assert shared.post(CHAT, raw).status == 200
    expected = {"model": "base", "messages": [{"role": "user", "content": "hü"}], "max_tokens": 7, "top_p": 1.0}
    assert vllm.arrived()[0]["body"] == expected


def test_the_agents_own_credentials_stay_and_the_pods_token_goes(shared, vllm):
    secrets = {"authorization": "Bearer sk-agent", "x-api-key": "sk-agent", "cookie": "a=b", "x-agenttype-limit": "x"}
    shared.post(CHAT, a_chat(max_tokens=2), secrets | {"x-trace": "kept"})
    headers = vllm.arrived()[0]["headers"]
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["x-trace"] == "kept"
    assert {"x-api-key", "cookie", "x-agenttype-limit"}.isdisjoint(headers)


def test_a_rotated_token_is_used_soon(vllm):
    with sidecar(policy=a_policy(vllm.url)) as car:
        (car.folder / "token").write_text("rotated")
        until(lambda: car.chat(max_tokens=2) and _token(vllm) == "Bearer rotated", within=10)


def test_a_query_is_passed_on_and_decides_nothing(shared, vllm):
    assert shared.post("/v1/messages?beta=true&model=other", a_chat(max_tokens=3)).status == 200
    assert vllm.arrived()[0]["body"]["model"] == "base"


def test_the_usage_chunk_of_a_stream_is_the_sidecars_own(shared, vllm):
    answer = shared.chat(stream=True, max_tokens=5)
    chunks = [json.loads(event) for event in answer.events if event != "[DONE]"]
    assert answer.events[-1] == "[DONE]"
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    assert vllm.arrived()[0]["body"]["stream_options"]["include_usage"] is True


def test_the_usage_chunk_that_was_asked_for_arrives(shared):
    answer = shared.chat(stream=True, max_tokens=5, stream_options={"include_usage": True})
    usage = json.loads(answer.events[-2])
    assert (usage["choices"], usage["usage"]["completion_tokens"]) == ([], 5)


def test_a_stream_without_limits_arrives_byte_for_byte_as_the_backend_sent_it(vllm):
    body = a_chat(stream=True, max_tokens=5, stream_options={"include_usage": True}, model="base", seed=1)
    with sidecar(policy=a_policy(vllm.url)) as car:
        through = _without_ids(car.post(CHAT, body))
    with sidecar(policy=a_policy(vllm.url, 1000)) as car:
        limited = _without_ids(car.post(CHAT, body))
    assert through == limited


def test_an_anthropic_stream_ends_as_it_should(shared):
    answer = shared.post(MESSAGES, a_chat(stream=True, max_tokens=5))
    assert json.loads(answer.events[0])["type"] == "message_start"
    assert json.loads(answer.events[-1])["type"] == "message_stop"


def test_an_error_of_the_backend_passes_as_it_is_and_costs_nothing(shared, vllm):
    before = shared.spent()
    body = {"error": {"message": "odd", "type": "BadRequestError", "param": None, "code": 400}}
    vllm.fault(CHAT, status=400, times=1, body=body)
    answer = shared.chat()
    assert (answer.status, answer.json) == (400, body)
    assert (shared.spent(), shared.held()) == (before, 0)


def test_the_books_agree_with_the_engine():
    with simulator() as vllm, sidecar(policy=a_policy(vllm.url, 1_000_000)) as car:
        answers = together(24, lambda number: car.post(*_mixed(number)))
        assert [answer.status for answer in answers] == [200] * 24
        prompt, completion = vllm.total("vllm:prompt_tokens_total"), vllm.total("vllm:generation_tokens_total")
        assert car.total("agenttype_llm_tokens_total", 'direction="input"') == prompt
        assert car.total("agenttype_llm_tokens_total", 'direction="output"') == completion
        assert car.total("agenttype_llm_tokens_total", 'usage_source="provider"') == prompt + completion
        assert (car.spent(), car.held()) == (prompt + completion, 0)


def test_an_adapter_is_called_by_its_version_and_counted_by_its_alias():
    served = "green@0123456789ab"
    policy = a_policy("http://unused.test", routes=(a_route("*", model=served, adapter="green"),))
    with simulator(served_model_name=["base", served]) as vllm:
        policy = policy.model_copy(update={"backends": (a_backend(vllm.url),)})
        with sidecar(policy=policy) as car:
            assert car.chat(max_tokens=3).status == 200
            assert vllm.arrived()[0]["body"]["model"] == served
            assert car.total("agenttype_llm_tokens_total", 'adapter="green"', 'direction="output"') == 3


def test_models_are_those_of_the_policy_not_of_the_backend(vllm):
    with sidecar(policy=a_policy(vllm.url, routes=(a_route("gpt-4o", "gpt-4*"), a_route("claude-x")))) as car:
        assert [model["id"] for model in car.get("/openai/v1/models").json["data"]] == ["gpt-4o", "claude-x"]
        assert car.get("/anthropic/v1/models").json["data"][0]["type"] == "model"
        assert vllm.arrived() == []


def test_an_external_backend_gets_its_key_and_no_token(vllm, tmp_path):
    outside = a_backend(
        vllm.url, "outside", credential=api.Credential.API_KEY, credential_file="outside", max_model_len=None
    )
    policy = a_policy(vllm.url, backends=(outside,), routes=(a_route("base", backend="outside", model=None),))
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "outside").write_text("sk-ours\n")
    with sidecar(policy=policy, folder=tmp_path) as car:
        assert car.post(CHAT, a_chat(model="base", max_tokens=2)).status == 200
        assert car.post(MESSAGES, a_chat(model="base", max_tokens=2)).status == 200
    openai, anthropic = (request["headers"] for request in vllm.arrived())
    assert openai["authorization"] == "Bearer sk-ours"
    assert anthropic["x-api-key"] == "sk-ours"
    assert "authorization" not in anthropic


def test_what_is_left_is_told_with_every_answer(vllm):
    limits = (a_limit(1000), a_limit(3, "Requests", "calls"))
    with sidecar(policy=a_policy(vllm.url, limits=limits)) as car:
        headers = car.chat(max_tokens=4).headers
        assert (headers["x-agenttype-limit"], headers["x-agenttype-remaining"]) == ("calls", "2")


def _token(vllm):
    return vllm.arrived()[-1]["headers"]["authorization"]


def _mixed(number):
    path = (CHAT, MESSAGES)[number % 2]
    return path, a_chat(f"hello number {number}", max_tokens=3 + number, stream=number % 3 == 0)


def _without_ids(answer):
    assert answer.status == 200
    chunks = [json.loads(event) | {"id": "", "created": 0} for event in answer.events if event != "[DONE]"]
    return [json.dumps(chunk) for chunk in chunks]
