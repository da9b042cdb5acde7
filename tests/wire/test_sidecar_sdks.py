"""Unmodified SDKs at the sidecar, with the environment of a pod and nothing else: they work, and refusals end them."""

import json
import os
import subprocess
import sys
from unittest.mock import ANY

import pytest
from agenttype_api import environment
from kinds import an_agent_type
from sdk_environments import python_with
from sidecars import a_limit, a_policy, sidecar
from simulators import simulator

OPENAI = """
import json, sys
import openai
asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[say=one two three]]"}], "max_tokens": 20}
client, seen = openai.OpenAI(), {}
try:
    if sys.argv[1] == "stream":
        chunks = list(client.chat.completions.create(stream=True, **asked))
        seen["text"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    elif sys.argv[1] == "models":
        seen["text"] = " ".join(model.id for model in client.models.list())
    elif sys.argv[1] == "completion":
        seen["text"] = client.completions.create(model="gpt-4o", prompt="[[say=one two three]]").choices[0].text
    else:
        seen["text"] = client.chat.completions.create(**asked).choices[0].message.content
except openai.APIStatusError as error:
    seen = {"error": type(error).__name__, "status": error.status_code, "code": error.code}
print(json.dumps(seen))
"""

ANTHROPIC = """
import json, sys
import anthropic
asked = {"model": "claude-x", "max_tokens": 20, "messages": [{"role": "user", "content": "[[say=one two three]]"}]}
client, seen = anthropic.Anthropic(), {}
try:
    if sys.argv[1] == "stream":
        with client.messages.stream(**asked) as stream:
            seen["text"] = "".join(stream.text_stream)
    else:
        seen["text"] = client.messages.create(**asked).content[0].text
except anthropic.APIStatusError as error:
    seen = {"error": type(error).__name__, "status": error.status_code, "code": error.body["error"]["type"]}
print(json.dumps(seen))
"""
SDKS = {"openai": OPENAI, "anthropic": ANTHROPIC}
CALLS = [
    ("openai", "chat"),
    ("openai", "stream"),
    ("openai", "completion"),
    ("anthropic", "chat"),
    ("anthropic", "stream"),
]


@pytest.fixture(scope="module")
def vllm():
    with simulator(served_model_name=["base"]) as engine:
        yield engine


def run(car, sdk, call):
    """Run an SDK's program as a pod would: its environment is ours, and holds no other key or address."""
    endpoints = environment.Endpoints(data=car.data_port, control=car.control_port)
    env = {entry["name"]: entry["value"] for entry in environment.merge([], an_agent_type(), endpoints)}
    del env["PYTHONPATH"]
    command = [python_with(sdk, sys.executable), "-c", SDKS[sdk], call]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("sdk", "call"), CALLS)
def test_an_sdk_is_answered_and_metered(vllm, sdk, call):
    with sidecar(policy=a_policy(vllm.url, budget=10_000)) as car:
        seen = run(car, sdk, call)

        assert "one two three" in seen["text"]
        assert car.spent() > 0


@pytest.mark.parametrize(("sdk", "call"), CALLS)
def test_a_spent_budget_ends_an_sdk_with_one_request_that_reaches_nobody(vllm, sdk, call):
    refusal = {"openai": ("RateLimitError", 429, "insufficient_quota"), "anthropic": (ANY, 402, "billing_error")}[sdk]
    with sidecar(policy=a_policy(vllm.url, limits=(a_limit(1, "Requests"),))) as car:
        car.chat()
        vllm.forget()

        seen = run(car, sdk, call)

        assert (seen["error"], seen["status"], seen["code"]) == refusal
        assert car.total("agenttype_llm_requests_total", 'outcome="refused"') == 1
    assert vllm.arrived() == []


def test_an_agent_lists_the_names_that_its_policy_has(vllm):
    with sidecar(policy=a_policy(vllm.url)) as car:
        assert run(car, "openai", "models")["text"]
