import json

import pytest
from agenttype_api import policy as api
from agenttype_api.v1alpha1 import FallbackReason, RuleAction, RuleTarget
from agenttype_sidecar.budget.response_owners import ResponseOwners
from agenttype_sidecar.errors import HostedTool, MalformedBody, UnknownResponse, Unmetered
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm import paths, unmeterable
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.llm.stored_responses import StoredResponses
from agenttype_sidecar.policy.policies import Active
from agenttype_sidecar.routing.routes import Routes
from support.programs.sidecars import a_backend, a_policy, a_route

URL = "http://shared.test"
RULE = api.Rule(name="r", applies_to=(RuleTarget.LLM_RESPONSE,), matches="secret", action=RuleAction.DENY)


def outside(budget=None, **members):
    protocols = (api.WireProtocol.OPENAI, api.WireProtocol.ANTHROPIC)
    backend = a_backend(URL, protocols=protocols, credential=api.Credential.API_KEY)
    return a_policy(URL, budget, backends=(backend,), routes=(a_route("*", model=None),), **members)


def response(policy=None, path="/v1/responses", **body):
    raw = json.dumps({"model": "m", "input": "hi", **body}).encode()
    return calls.read(paths.endpoint(path), Body(raw), Routes(policy or outside()))


def test_what_was_passed_on_can_be_built_on():
    stored = StoredResponses(ResponseOwners())
    stored.remember(response(), ("resp_1", "msg_1"))
    stored.check(response(previous_response_id="resp_1", input=[{"type": "item_reference", "id": "msg_1"}]))
    assert (stored.backend("resp_1"), stored.backend("resp_2")) == ("shared", None)
    assert stored.owner(response(previous_response_id="resp_1")) == "shared"


@pytest.mark.parametrize(
    "body",
    [
        {"previous_response_id": "resp_9"}, {"previous_response_id": 7}, {"conversation": {"id": "conv_1"}},
        {"input": [{"type": "item_reference", "id": "msg_9"}]}, {"input": [{"id": "msg_9"}]},
    ],
)  # fmt: skip
def test_what_was_not_passed_on_cannot(body):
    with pytest.raises(UnknownResponse):
        StoredResponses(ResponseOwners()).check(response(**body))


def test_a_response_is_at_the_backend_that_made_it_and_at_no_other():
    stored = StoredResponses(ResponseOwners())
    stored.remember(response(), ("resp_1",))
    other = a_policy(URL, backends=(a_backend(URL, "other"),), routes=(a_route("*", backend="other"),))
    with pytest.raises(UnknownResponse):
        stored.check(response(other, previous_response_id="resp_1"))


def test_the_oldest_names_are_forgotten_first_and_nothing_grows():
    stored = StoredResponses(ResponseOwners(most=2))
    for name in ("a", "b", "a", "c", "x" * 200):
        stored.remember(response(), (name,))
    assert [stored.backend(name) for name in ("a", "b", "c", "x" * 200)] == ["shared", None, "shared", None]


@pytest.mark.parametrize("name", ["x" * 129, "resp_\ud800", "resp_é"])
def test_a_name_that_no_backend_gives_is_not_remembered(name):
    responses = ResponseOwners()
    StoredResponses(responses).remember(response(), (name,))
    assert not responses.behind


def test_what_is_not_to_be_kept_is_not_remembered():
    stored = StoredResponses(ResponseOwners())
    stored.remember(response(store=False), ("resp_1",))
    assert stored.backend("resp_1") is None


@pytest.mark.parametrize(
    "body",
    [{"background": True}, {"background": 1}, {"tools": [{"type": "web_search"}]}, {"tools": [{"type": "shell"}]},
     {"tools": ["x"]}, {"tools": [{"type": ["function"]}]}],
)  # fmt: skip
def test_work_that_nobody_measures_is_refused_where_tokens_are_limited(body):
    limited, free = outside(1000), outside()
    with pytest.raises(Unmetered):
        unmeterable.check(response(limited, **body), Active(limited))
    unmeterable.check(response(free, **body), Active(free))


def test_background_work_is_refused_where_a_rule_looks_at_answers():
    policy = outside(rules=(RULE,))
    with pytest.raises(Unmetered):
        unmeterable.check(response(policy, background=True), Active(policy))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"tools": [{"type": "mcp", "server_url": "https://elsewhere.test"}]}),
        ("/v1/messages", {"mcp_servers": [{"type": "url"}]}),
        ("/v1/messages", {"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}),
        ("/v1/messages/count_tokens", {"mcp_servers": []}),
    ],
)
def test_tool_servers_that_a_provider_would_call_are_refused_whatever_is_limited(path, body):
    policy = outside()
    with pytest.raises(HostedTool):
        unmeterable.check(response(policy, path, **body), Active(policy))


@pytest.mark.parametrize(
    ("path", "tools"),
    [
        (
            "/v1/responses",
            [{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}, {"type": "apply_patch"}],
        ),
        ("/v1/messages", [{"name": "f"}, {"type": "custom"}, {"type": "bash_20250124"}]),
        ("/v1/chat/completions", [{"type": "function", "function": {"name": "f"}}]),
    ],
)
def test_the_callers_own_tools_are_nobody_elses_business(path, tools):
    policy = outside(1000)
    unmeterable.check(response(policy, path, tools=tools), Active(policy))


def test_an_engine_of_ours_runs_no_tools_so_none_are_refused():
    policy = a_policy(URL, 1000)
    unmeterable.check(response(policy, tools=[{"type": "web_search"}, {"type": "mcp"}]), Active(policy))


def test_an_engine_of_ours_whose_fallback_is_outside_is_asked_for_none_either():
    backend = a_backend(URL, "outside", credential=api.Credential.API_KEY)
    link = api.Fallback(backend="outside", when=(FallbackReason.UNAVAILABLE,))
    route = a_route("*").model_copy(update={"fallback": (link,)})
    policy = a_policy(URL, 1000, backends=(a_backend(URL), backend), routes=(route,))
    with pytest.raises(HostedTool):
        unmeterable.check(response(policy, tools=[{"type": "mcp"}]), Active(policy))


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        (outside(), "/v1/responses"),
        (a_policy(URL), "/v1/responses"),
        (a_policy(URL), "/v1/chat/completions"),
        (a_policy(URL), "/v1/completions"),
    ],
)
def test_a_caller_gives_no_call_its_name(policy, path):
    with pytest.raises(MalformedBody):
        unmeterable.check(response(policy, path, request_id="resp_1"), Active(policy))
