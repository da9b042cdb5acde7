"""What the operator compiles is what the sidecar loads."""

import pytest
from agenttype_api import compile as compiler
from agenttype_api import policy as api
from agenttype_sidecar.errors import PolicyError
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.telemetry.metrics import Metrics
from support.kinds import a_backend, a_limit, an_adapter, an_agent_type, an_external_backend

TOOLS = [{"name": "crm", "mcp": {"url": "http://crm.tools:8080/mcp"}, "allow": ["lookup_*"]}]
MODELS = [
    {"match": ["gpt-4o*"], "backendRef": {"name": "shared"}, "adapterRef": {"name": "green"}},
    {"match": ["claude-*"], "backendRef": {"name": "outside"}},
    {"match": ["*"], "backendRef": {"name": "shared"}},
]


@pytest.fixture
def document():
    agent = an_agent_type(
        models=MODELS, tools=TOOLS, budget={"limits": [a_limit("1000"), a_limit("5", "calls", resource="Requests")]}
    )
    backends = {"shared": a_backend(), "outside": an_external_backend(protocol="Anthropic")}
    return compiler.agent_policy(agent, compiler.Surroundings(backends, {"green": an_adapter()}))


def loaded(folder, text):
    (folder / "policy.json").write_text(text)
    return Policies(folder / "policy.json", Metrics())


def test_the_compiled_document_loads_unchanged_under_the_same_hash(document, tmp_path):
    policies = loaded(tmp_path, api.document_json(document))
    assert policies.active.policy == document
    assert policies.report().policy_hash == document.hash()


def test_compiled_routes_lead_where_the_agent_type_says(document, tmp_path):
    routes = loaded(tmp_path, api.document_json(document)).active.routes
    green = routes.find("gpt-4o-mini", api.WireProtocol.OPENAI)
    assert (green.adapter, green.backend.credential) == ("green", api.Credential.POD_TOKEN)
    assert routes.find("claude-5", api.WireProtocol.ANTHROPIC).backend.name == "outside"
    assert routes.find("anything", api.WireProtocol.OPENAI).route.model == "shared"


def test_a_document_of_a_newer_operator_is_refused_rather_than_half_understood(document, tmp_path):
    newer = api.document_json(document).replace('"version":1', '"version":1,"memory":{}')
    with pytest.raises(PolicyError, match="memory"):
        loaded(tmp_path, newer)
