"""Unmodified SDKs at the sidecar, with the environment of a pod and nothing else: they work, and refusals end them.

`REQUESTS` is what each makes of a budget that is used up, by the status that says so: requests until it gives up.
docs/protocols.md shows the same table; a test holds them equal.
"""

import pytest
from agenttype_api import policy as api
from sdk_programs import driven
from sidecars import a_limit, a_policy, eventually, sidecar
from simulators import simulator

#: SDK, program → requests after a refusal of 402, 403 and 429; Anthropic's paths are refused with 402 whatever is set.
REQUESTS = {
    ("openai", "openai_chat.py"): (1, 1, 1),
    ("openai", "openai_responses.py"): (1, 1, 1),
    ("anthropic", "anthropic_messages.py"): (1, 1, 1),
    ("litellm", "litellm_openai.py"): (1, 1, 1),
    ("litellm", "litellm_anthropic.py"): (1, 1, 1),
    ("langchain", "langchain_openai_chat.py"): (1, 1, 1),
    ("langchain", "langchain_anthropic_chat.py"): (1, 1, 1),
    ("pydantic-ai", "pydantic_ai_chat.py"): (1, 1, 1),
    ("pydantic-ai", "pydantic_ai_responses.py"): (1, 1, 1),
    ("pydantic-ai", "pydantic_ai_anthropic.py"): (1, 1, 1),
    ("openai-agents", "openai_agents.py"): (1, 1, 1),
    ("node", "openai_chat.mjs"): (1, 1, 1),
    ("node", "openai_responses.mjs"): (1, 1, 1),
    ("node", "anthropic_messages.mjs"): (1, 1, 1),
    ("node", "ai_openai.mjs"): (1, 1, 1),
    ("node", "ai_anthropic.mjs"): (1, 1, 1),
}
STATUSES = (402, 403, 429)


@pytest.fixture(scope="module")
def vllm():
    with simulator(served_model_name=["base"]) as engine:
        yield engine


def spent(url, status):
    """A policy whose budget is used up; its refusals say `status`."""
    budget = api.Budget(limits=(a_limit(0, "Requests"),), refusal_status=status)
    return a_policy(url).model_copy(update={"budget": budget})


def refused(car, program, policy):
    """Have a program call under a policy that refuses it; return how it ended and how many requests it made."""
    car.set_policy(policy)
    eventually(lambda: car.control("/agenttype/v1/policy").json["policyHash"] == policy.hash())
    before = car.total("agenttype_llm_requests_total", 'outcome="refused"')
    seen = program.ask("plain")
    return seen, int(car.total("agenttype_llm_requests_total", 'outcome="refused"') - before)


@pytest.mark.parametrize(("sdk", "program"), REQUESTS)
def test_an_sdk_is_answered_and_metered_and_ended_by_a_refusal(vllm, sdk, program):
    with sidecar(policy=a_policy(vllm.url, budget=100_000)) as car, driven(sdk, program, car) as running:
        for call in ("plain", "stream"):
            before = car.spent()
            assert "one two three" in running.ask(call).get("text", "")
            assert car.spent() > before
        vllm.forget()

        ends = [refused(car, running, spent(vllm.url, status)) for status in STATUSES]

        assert tuple(requests for _, requests in ends) == REQUESTS[sdk, program]
        assert all("error" in seen for seen, _ in ends)
    assert vllm.arrived() == []


@pytest.mark.parametrize(
    ("sdk", "program", "call", "expected"),
    [
        ("openai", "openai_chat.py", "completion", "one two three"),
        ("openai", "openai_chat.py", "models", "base"),
        ("openai", "openai_chat.py", "model", "gpt-4o"),
        ("anthropic", "anthropic_messages.py", "models", "base"),
    ],
)
def test_what_an_sdk_has_besides_is_answered(vllm, sdk, program, call, expected):
    with sidecar(policy=a_policy(vllm.url)) as car, driven(sdk, program, car) as running:
        assert running.ask(call).get("text") == expected


def test_an_sdk_counts_tokens_of_a_budget_that_is_used_up(vllm):
    with (
        sidecar(policy=spent(vllm.url, 402)) as car,
        driven("anthropic", "anthropic_messages.py", car) as running,
    ):
        assert int(running.ask("count")["text"]) > 0


def test_an_sdk_embeds():
    with (
        simulator(runner="pooling", convert="embed") as engine,
        sidecar(policy=a_policy(engine.url, budget=1000)) as car,
        driven("openai", "openai_chat.py", car) as running,
    ):
        assert running.ask("embedding")["text"] == "64"
        assert car.spent() > 0
