"""From kinds to documents: what sidecars and gates are told."""

import pytest
from agenttype_api import compile as compiler
from agenttype_api import policy
from agenttype_api.compile import Surroundings
from agenttype_api.conditions import Reason
from support.kinds import DIGEST, a_backend, a_limit, an_adapter, an_agent_type, an_external_backend

SHARED = {"shared": a_backend()}
GREEN = {"green": an_adapter()}


def a_route(match="*", backend="shared", adapter=None):
    route = {"match": [match], "backendRef": {"name": backend}}
    return {**route, "adapterRef": {"name": adapter}} if adapter else route


def test_a_route_with_an_adapter_names_the_version_that_its_digest_decides():
    agent = an_agent_type(models=[a_route("gpt-4o*", adapter="green")])

    found = compiler.agent_policy(agent, Surroundings(SHARED, GREEN))

    assert found.routes == (
        policy.Route(match=("gpt-4o*",), backend="shared", model="green@abababababab", adapter="green"),
    )


def test_a_route_without_an_adapter_names_the_base_model():
    found = compiler.agent_policy(an_agent_type(models=[a_route()]), Surroundings(SHARED))

    assert found.routes[0].model == "shared"


def test_an_external_backend_gets_the_name_that_the_agent_used():
    agent = an_agent_type(models=[a_route(backend="outside")])

    found = compiler.agent_policy(agent, Surroundings({"outside": an_external_backend()}, {}))

    assert found.routes[0].model is None
    assert found.backends[0].credential is policy.Credential.NONE


def test_a_backend_that_we_run_is_called_with_the_pods_token():
    found = compiler.agent_policy(an_agent_type(), Surroundings(SHARED))

    assert found.backends[0].credential is policy.Credential.POD_TOKEN
    assert found.backends[0].url == "http://shared-backend.default.svc:80"


def test_an_external_key_is_a_file_that_only_the_sidecar_has():
    backend = an_external_backend(credentialRef={"name": "key", "key": "token"})

    found = compiler.agent_policy(
        an_agent_type(models=[a_route(backend="outside")]), Surroundings({"outside": backend}, {})
    )

    assert (found.backends[0].credential, found.backends[0].credential_file) == (
        policy.Credential.API_KEY,
        "backends/outside/key",
    )


@pytest.mark.parametrize(
    ("route", "adapters", "reason"),
    [
        (a_route(backend="nowhere"), {}, Reason.BACKEND_NOT_FOUND),
        (a_route(adapter="blue"), GREEN, Reason.ADAPTER_NOT_FOUND),
        (a_route(adapter="green"), {"green": an_adapter(backend="other")}, Reason.ADAPTER_OF_OTHER_BACKEND),
        (
            a_route(backend="outside", adapter="out"),
            {"out": an_adapter("out", "outside")},
            Reason.BACKEND_HAS_NO_ADAPTERS,
        ),
    ],
    ids=["unknown backend", "unknown adapter", "adapter of another backend", "backend without adapters"],
)
def test_a_reference_that_leads_nowhere_says_why(route, adapters, reason):
    backends = {**SHARED, "outside": an_external_backend()}

    with pytest.raises(compiler.Unresolved) as found:
        compiler.agent_policy(an_agent_type(models=[route]), Surroundings(backends, adapters))

    assert found.value.reason is reason


def test_a_limit_of_zero_is_a_limit_and_an_absent_one_is_none():
    with_zero = compiler.agent_policy(an_agent_type(budget={"limits": [a_limit("0")]}), Surroundings(SHARED))
    without = compiler.agent_policy(an_agent_type(), Surroundings(SHARED))

    assert [limit.max for limit in with_zero.budget.limits] == [0]
    assert without.budget.limits == ()


def test_scaling_an_agent_does_not_change_its_policy():
    one, many = an_agent_type(replicas=1), an_agent_type(replicas=9)

    around = Surroundings(SHARED)
    assert compiler.agent_policy(one, around).hash() == compiler.agent_policy(many, around).hash()


def test_a_policy_document_is_read_back_as_it_was_written():
    written = compiler.agent_policy(an_agent_type(budget={"limits": [a_limit()]}), Surroundings(SHARED))

    assert policy.Policy.model_validate_json(policy.document_json(written)) == written


def test_a_gate_admits_each_agent_to_its_own_models_only():
    green = an_agent_type("green", models=[a_route(adapter="green")])
    plain = an_agent_type("plain", models=[a_route()])
    stranger = an_agent_type("stranger", models=[a_route(backend="other")])

    found = compiler.gate_policy(a_backend(), [plain, green, stranger], GREEN.values())

    assert [(caller.service_account, caller.models) for caller in found.callers] == [
        ("default/green", ("green@abababababab",)),
        ("default/plain", ("shared",)),
    ]


def test_a_gate_wants_the_adapters_of_its_own_backend_only():
    found = compiler.gate_policy(a_backend(), [], [an_adapter(), an_adapter("other", backend="elsewhere")])

    assert [(adapter.name, adapter.digest) for adapter in found.adapters] == [("green", DIGEST)]


def test_a_gate_document_does_not_depend_on_the_order_of_objects():
    agents = [an_agent_type("a"), an_agent_type("b")]

    one = compiler.gate_policy(a_backend(), agents, [an_adapter("x"), an_adapter("y")])
    other = compiler.gate_policy(a_backend(), reversed(agents), [an_adapter("y"), an_adapter("x")])

    assert policy.document_json(one) == policy.document_json(other)
