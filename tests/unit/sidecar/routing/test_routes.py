import pytest
from agenttype_api.policy import WireProtocol
from agenttype_sidecar.errors import PolicyError, UnknownModel
from agenttype_sidecar.llm import models, paths
from agenttype_sidecar.llm.paths import Operation
from agenttype_sidecar.routing.routes import Routes
from support.programs.sidecars import a_backend, a_policy, a_route

OPENAI, ANTHROPIC = WireProtocol.OPENAI, WireProtocol.ANTHROPIC
URL = "http://shared.test"


def routes(*several):
    return Routes(a_policy(URL, routes=several))


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("gpt-4o", "first"),
        ("gpt-4o-mini", "first"),
        ("xgpt-4o", "last"),
        ("a.b", "dotted"),
        ("aXb", "last"),
        ("", "last"),
    ],
)
def test_the_first_glob_that_matches_wins(name, model):
    found = routes(a_route("gpt-4o*", model="first"), a_route("a.b", model="dotted"), a_route("*", model="last"))
    assert found.find(name, OPENAI).route.model == model


def test_a_name_is_matched_again_in_the_same_way():
    found = routes(a_route("gpt-*"))
    assert found.find("gpt-1", OPENAI) is found.find("gpt-1", OPENAI)
    assert [_is_unknown(found, "other"), _is_unknown(found, "other")] == [True, True]


def test_an_agent_that_invents_names_does_not_fill_the_memory():
    found = routes(a_route("x"))
    assert all(_is_unknown(found, f"name-{number}") for number in range(3000))
    assert len(found._found) <= 1024


def test_a_name_beyond_all_measure_is_unknown():
    assert _is_unknown(routes(a_route("*")), "x" * 10_000)


def test_a_route_to_a_backend_that_is_not_described_makes_the_policy_unusable():
    with pytest.raises(PolicyError, match="nowhere"):
        routes(a_route("*", backend="nowhere"))


def test_metrics_get_names_of_the_policy_never_of_the_caller():
    outside = a_policy(URL, backends=(a_backend(URL, "out"),), routes=(a_route("*", backend="out", model=None),))
    target = Routes(outside).find("a-name-of-the-callers", OPENAI)
    assert (target.model, target.adapter) == ("out", "")


def test_the_list_shows_names_that_work():
    found = routes(
        a_route("gpt-4o", "gpt-4*", model="m"), a_route("green*", adapter="green"), a_route("*", adapter="red")
    )
    assert found.names == ("gpt-4o", "green", "red")
    assert b'"id":"gpt-4o"' in models.listing(found, OPENAI)
    assert b'"display_name":"green"' in models.listing(found, ANTHROPIC)


SPELLINGS = (
    "/chat/completions", "/completions", "/responses", "/embeddings", "/messages", "/messages/count_tokens",
    "/responses/resp_1", "/models", "/models/gpt-4o", "/",
)  # fmt: skip


@pytest.mark.parametrize("base", ["", "/v1", "/openai", "/openai/v1", "/anthropic", "/anthropic/v1"])
def test_every_spelling_that_sdks_send_is_known(base):
    found = [paths.endpoint(base + path) for path in SPELLINGS]
    assert [endpoint.operation for endpoint in found] == list(Operation)


@pytest.mark.parametrize(
    "path", ["", "/v2", "//", "/v1/models/", "/V1/models", "/v1//models", "/v1/load_lora_adapter", "/metrics",
             "/tokenize", "/v1/../metrics", "/v1/responses/", "/v1/responses/compact", "/v1/responses/input_tokens",
             "/v1/responses/resp_1/nothing", "/v1/responses/../models", "/v1/responses/resp%2f1", "/v1/models?x",
             "/v1/v1/responses/resp_1", "/v1/conversations", "/v1/messages/batches"],
)  # fmt: skip
def test_every_other_path_is_unknown(path):
    assert paths.endpoint(path) is None


@pytest.mark.parametrize(
    ("path", "methods", "target"),
    [
        ("/openai/v1/responses/resp_1", ("GET", "DELETE"), b"/v1/responses/resp_1"),
        ("/responses/resp_1/cancel", ("POST",), b"/v1/responses/resp_1/cancel"),
        ("/v1/responses/resp_1/input_items", ("GET",), b"/v1/responses/resp_1/input_items"),
    ],
)
def test_a_stored_response_has_a_path_of_its_own(path, methods, target):
    found = paths.endpoint(path)
    assert (found.operation, found.methods, found.path, found.name) == (Operation.STORED, methods, target, "resp_1")
    assert "resp_1" not in found.label


def test_one_model_is_shown_under_every_name_that_a_route_takes():
    found = routes(a_route("gpt-4o", "org/*"))
    assert b'"id":"org/name"' in models.one(found, "org%2Fname", OPENAI)
    assert b'"display_name":"gpt-4o"' in models.one(found, "gpt-4o", ANTHROPIC)
    with pytest.raises(UnknownModel):
        models.one(found, "claude", OPENAI)
    with pytest.raises(UnknownModel):
        models.one(found, "%ff", OPENAI)


@pytest.mark.parametrize(
    ("path", "header", "expected"),
    [
        ("/v1/nothing", False, OPENAI),
        ("/v1/nothing", True, ANTHROPIC),
        ("/anthropic/v1/nothing", False, ANTHROPIC),
        ("/openai/v1/nothing", False, OPENAI),
    ],
)
def test_an_unknown_path_is_answered_in_the_protocol_of_its_base(path, header, expected):
    assert paths.protocol(path, anthropic_header=header) is expected


def _is_unknown(found, name):
    try:
        found.find(name, OPENAI)
    except UnknownModel:
        return True
    return False
