"""Unmodified SDKs at the sidecar, with the environment of a pod and nothing else: they work, and refusals end them."""

import pytest
from agenttype_api import policy as api
from support.callers.sdk_matrix import MATRIX, STATUSES
from support.callers.sdk_programs import driven
from support.programs.sidecars import a_limit, a_policy, sidecar
from support.programs.simulators import simulator
from support.waiting import until

pytestmark = pytest.mark.timeout(600)  # on a new machine the environments are made first


@pytest.fixture(scope="module")
def vllm():
    with simulator(served_model_name=["base"]) as engine:
        yield engine


def for_calls(url, calls, status=402):
    """A policy with a budget of so many calls; once it is used up, refusals say `status`."""
    limits = (a_limit(100_000), a_limit(calls, "Requests", "calls"))
    return a_policy(url).model_copy(update={"budget": api.Budget(limits=limits, refusal_status=status)})


def that_cuts(url):
    """A policy whose rule forbids the second word of every answer."""
    rule = api.Rule(name="no-two", applies_to=("LLMResponse",), matches="two", action="Deny")
    return a_policy(url, rules=(rule,))


def refused(car, program, policy, call="plain", reason="insufficient_quota"):
    """Have a program call under a policy that refuses it; return how it ended and how many requests it made."""
    car.set_policy(policy)
    until(lambda: car.control("/agenttype/v1/policy").json["policyHash"] == policy.hash())
    before = car.total("agenttype_refusals_total", f'reason="{reason}"')
    seen = program.ask(call)
    return seen, int(car.total("agenttype_refusals_total", f'reason="{reason}"') - before)


@pytest.mark.parametrize("row", MATRIX, ids=[row.program for row in MATRIX])
def test_an_sdk_is_answered_and_metered_and_ended_by_a_refusal(vllm, row):
    vllm.forget()
    with sidecar(policy=for_calls(vllm.url, 2)) as car, driven(row.sdk, row.program, car) as running:
        for call in ("plain", "stream"):
            before = car.spent()
            assert "one two three" in running.ask(call).get("text", "")
            assert car.spent() > before
        assert [arrival["path"] for arrival in vllm.arrived()] == [row.route, row.route]
        vllm.forget()

        ends = [refused(car, running, for_calls(vllm.url, 2, status)) for status in STATUSES]

        assert tuple(requests for _, requests in ends) == row.requests
        assert all("error" in seen for seen, _ in ends)
        assert vllm.arrived() == []

        seen, requests = refused(car, running, that_cuts(vllm.url), "stream", "policy_violation")
        assert "rule 'no-two'" in seen.get("said", seen), seen
        assert requests == 1


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
        sidecar(policy=for_calls(vllm.url, 0)) as car,
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
