import json

import pytest
from agenttype_api import policy as api
from agenttype_sidecar.errors import HostedTool, MalformedBody, Unmetered
from agenttype_sidecar.llm import call as calls
from agenttype_sidecar.llm import paths, unmeterable
from agenttype_sidecar.llm.body import Body
from agenttype_sidecar.policy.policies import Active
from support.programs.sidecars import a_backend, a_limit, a_policy, a_price

CHAT = "/v1/chat/completions"
URL = "http://model.test"
COSTS, TOKENS = (a_limit(10**9, "Cost"),), (a_limit(10**6),)


def checked(body, limits, path=CHAT, **backend):
    policy = a_policy(URL, limits=limits, backends=(a_backend(URL, prices=(a_price(),), **backend),))
    active = Active(policy)
    raw = json.dumps({"model": "m", "messages": [], **body}).encode()
    unmeterable.check(calls.read(paths.endpoint(path), Body(raw), active.routes), active)


def outside(body, limits, path=CHAT):
    checked(body, limits, path, credential=api.Credential.API_KEY)


@pytest.mark.parametrize(
    "body",
    [
        {"kv_transfer_params": {"prompt_token_ids": [1]}}, {"ec_transfer_params": {}},
        {"vllm_xargs": {"kv_transfer_params": "x"}}, {"priority": -1}, {"priority": "1"}, {"priority": 0.5},
    ],
)  # fmt: skip
def test_what_engines_say_to_each_other_is_not_taken_from_callers(body):
    with pytest.raises(MalformedBody):
        checked(body, ())
    with pytest.raises(MalformedBody):
        outside(body, ())


@pytest.mark.parametrize(
    "body", [{"kv_transfer_params": None}, {"vllm_xargs": {"a": 1}}, {"priority": 3}, {"priority": 0}]
)
def test_what_only_concerns_the_call_itself_passes(body):
    checked(body, TOKENS)


DEARER = [
    {"service_tier": "priority"}, {"speed": "fast"}, {"inference_geo": "us"}, {"modalities": ["text", "audio"]},
    {"audio": {"voice": "alloy"}}, {"provider": {"sort": "throughput"}},
]  # fmt: skip


@pytest.mark.parametrize("body", DEARER)
def test_what_is_billed_above_the_price_of_a_model_is_refused_under_a_limit_of_costs(body):
    with pytest.raises(Unmetered):
        outside(body, COSTS)
    outside(body, TOKENS)
    checked(body, COSTS)


@pytest.mark.parametrize("body", [{"service_tier": "auto"}, {"service_tier": "flex"}, {"modalities": ["text"]}])
def test_what_is_billed_at_the_price_of_a_model_passes(body):
    outside(body, COSTS)


SUMMARIES = [
    {"context_management": {"edits": [{"type": "compact_20260112"}]}},
    {"context_management": [{"type": "compaction", "compact_threshold": 9}]},
]


@pytest.mark.parametrize("body", SUMMARIES)
def test_a_conversation_that_the_provider_would_summarise_is_refused_under_a_limit_of_tokens(body):
    with pytest.raises(Unmetered):
        outside(body, TOKENS)
    outside(body, ())
    outside({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, TOKENS)


@pytest.mark.parametrize("body", [{"max_tokens": 0}, {"max_completion_tokens": 0, "max_tokens": 0}])
def test_a_bound_of_nothing_that_may_mean_no_bound_is_not_sent_outside(body):
    with pytest.raises(MalformedBody):
        outside(body, TOKENS)
    checked(body, TOKENS)
    outside({"max_tokens": 0, "max_completion_tokens": 1}, TOKENS)


@pytest.mark.parametrize("body", [{"models": ["dear"]}, {"fallbacks": [{"model": "dear"}]}])
def test_a_call_cannot_choose_other_models_than_policy_did(body):
    with pytest.raises(MalformedBody):
        outside(body, ())


@pytest.mark.parametrize("body", [{"search_parameters": {"mode": "on"}}, {"plugins": [{"id": "web"}]}])
def test_what_a_provider_looks_up_is_refused_where_tokens_are_limited(body):
    with pytest.raises(Unmetered):
        outside(body, TOKENS)
    outside(body, ())


def test_only_the_tools_that_a_provider_documents_as_the_callers_are_its_own():
    policy = a_policy(URL, 1000, backends=(a_backend(URL, credential=api.Credential.API_KEY),))
    active = Active(policy)
    raw = json.dumps({"model": "m", "max_tokens": 9, "tools": [{"type": "bash_code_execution_20250825"}]}).encode()
    with pytest.raises(Unmetered):
        unmeterable.check(calls.read(paths.endpoint("/v1/messages"), Body(raw), active.routes), active)


def nested(tool):
    """A tool where Codex has its own: in a namespace, in an item of the input."""
    namespace = {"type": "namespace", "name": "functions", "tools": [{"type": "function", "name": "f"}, tool]}
    return {"input": ["hi", {"type": "additional_tools", "role": "developer", "tools": [namespace]}]}


@pytest.mark.parametrize(
    ("tool", "refusal"),
    [({"type": "mcp", "server_url": "https://elsewhere.test"}, HostedTool), ({"type": "web_search"}, Unmetered)],
)
def test_a_tool_that_the_provider_runs_is_found_wherever_it_is_offered(tool, refusal):
    for body in (nested(tool), {"tools": [{"type": "namespace", "name": "n", "tools": [tool]}]}):
        with pytest.raises(refusal):
            outside(body, TOKENS, "/v1/responses")
        checked(body, TOKENS, "/v1/responses")


def test_tools_that_the_caller_runs_pass_wherever_they_are_offered():
    outside(nested({"type": "custom", "name": "exec"}), TOKENS, "/v1/responses")
