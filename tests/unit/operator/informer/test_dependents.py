import pytest
from agenttype_operator.informer.cache import Cache
from agenttype_operator.informer.informer import Informer
from agenttype_operator.kube import kinds
from agenttype_operator.kube.kinds import Key
from support.kinds import adapter_manifest, agent_manifest, backend_manifest, budget_manifest, external_manifest

BINDING = Key("ClusterRoleBinding", "", "gates")
AGENT, BACKEND = Key("AgentType", "default", "green"), Key("ModelBackend", "default", "shared")
ADAPTER = Key("LoraAdapter", "default", "green")
BUDGET = Key("AgentBudget", "default", "team")
WITH_ADAPTER = [{"match": ["*"], "backendRef": {"name": "shared"}, "adapterRef": {"name": "green"}}]


def stored(manifest, version=1, generation=1, **members):
    metadata = {
        **manifest["metadata"],
        "uid": manifest["kind"],
        "resourceVersion": str(version),
        "generation": generation,
    }
    return {**manifest, "metadata": metadata, **members}


@pytest.fixture
def world():
    found = Informer(Cache(), BINDING)
    found.seen(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER)))
    found.seen(
        kinds.AGENT_TYPE, stored(agent_manifest("other", models=[{"match": ["*"], "backendRef": {"name": "x"}}]))
    )
    found.seen(kinds.MODEL_BACKEND, stored(backend_manifest()))
    found.seen(kinds.LORA_ADAPTER, stored(adapter_manifest()))
    found.seen(kinds.MODEL_BACKEND, stored(external_manifest("lonely")))
    found.seen(kinds.AGENT_BUDGET, stored(budget_manifest()))
    return found


@pytest.fixture
def told(world):
    keys = set()
    world.tell(keys.add)
    return keys


def test_a_new_agent_concerns_itself_and_its_backends(world, told):
    world.seen(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER), 2, 2))

    assert told == {AGENT, BACKEND}


def test_an_agent_that_changes_backends_concerns_both(world, told):
    models = [{"match": ["*"], "backendRef": {"name": "lonely"}}]
    world.seen(kinds.AGENT_TYPE, stored(agent_manifest(models=models), 2, 2))

    assert told == {AGENT, BACKEND, Key("ModelBackend", "default", "lonely")}


def test_a_backend_concerns_its_agents_its_adapters_and_the_binding(world, told):
    world.seen(kinds.MODEL_BACKEND, stored(backend_manifest(model="/other"), 2, 2))

    assert told == {BACKEND, AGENT, ADAPTER, BINDING}


def test_a_deleted_backend_concerns_who_used_it(world, told):
    world.deleted(kinds.MODEL_BACKEND, stored(backend_manifest(), 2))

    assert told == {AGENT, ADAPTER, BINDING}


def test_an_agent_whose_fallback_uses_a_backend_concerns_it(world, told):
    models = [
        {"match": ["*"], "backendRef": {"name": "x"}, "fallback": [{"backendRef": {"name": "lonely"}}]},
    ]
    world.seen(kinds.AGENT_TYPE, stored(agent_manifest("third", models=models)))

    assert told == {Key("AgentType", "default", "third"), Key("ModelBackend", "default", "lonely")}


def test_a_backend_concerns_the_agents_that_fall_back_to_it(world, told):
    models = [
        {"match": ["*"], "backendRef": {"name": "x"}, "fallback": [{"backendRef": {"name": "lonely"}}]},
    ]
    world.seen(kinds.AGENT_TYPE, stored(agent_manifest("third", models=models)))
    told.clear()

    world.seen(kinds.MODEL_BACKEND, stored(external_manifest("lonely"), 2, 2))

    assert told == {Key("AgentType", "default", "third"), Key("ModelBackend", "default", "lonely"), BINDING}


def test_an_agent_concerns_the_budget_that_it_begins_to_share_and_the_one_that_it_leaves(world, told):
    world.seen(
        kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER, budget={"budgetRef": {"name": "team"}}), 2, 2)
    )
    assert told == {AGENT, BACKEND, BUDGET}
    told.clear()

    world.seen(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER), 3, 3))

    assert told == {AGENT, BACKEND, BUDGET}


def test_a_budget_concerns_itself_and_the_agents_that_share_it(world, told):
    world.seen(
        kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER, budget={"budgetRef": {"name": "team"}}), 2, 2)
    )
    told.clear()

    world.seen(kinds.AGENT_BUDGET, stored(budget_manifest(description="new"), 2, 2))

    assert told == {AGENT, BUDGET}


def test_a_deleted_budget_concerns_the_agents_that_shared_it(world, told):
    world.seen(
        kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER, budget={"budgetRef": {"name": "team"}}), 2, 2)
    )
    told.clear()

    world.deleted(kinds.AGENT_BUDGET, stored(budget_manifest(), 2))

    assert told == {AGENT}


def test_a_budget_s_own_status_concerns_nobody(world, told):
    world.seen(kinds.AGENT_BUDGET, stored(budget_manifest(), 2, status={"agentTypes": 1}))

    assert told == set()


def test_an_adapter_s_status_concerns_only_the_agents_that_show_it(world, told):
    world.seen(kinds.LORA_ADAPTER, stored(adapter_manifest(), 2, status={"servedName": "x"}))

    assert told == {AGENT}


def test_an_agent_s_own_status_concerns_nobody(world, told):
    world.seen(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER), 2, status={"replicas": 1}))

    assert told == set()


def test_a_pod_concerns_the_agent_whose_label_it_carries(world, told):
    labels = {"agenttype.dev/agent-type": "green"}
    world.seen(
        kinds.POD,
        {"metadata": {"name": "p", "namespace": "default", "uid": "p", "resourceVersion": "1", "labels": labels}},
    )

    assert told == {AGENT}


def test_a_pod_of_a_backend_concerns_its_adapters_too(world, told):
    labels = {"agenttype.dev/model-backend": "shared", "app.kubernetes.io/managed-by": "agenttype-operator"}
    pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": "default", "labels": labels}}

    world.seen(kinds.POD, stored(pod))

    assert told == {BACKEND, ADAPTER}


def test_what_was_written_does_not_come_back_to_its_writer(world, told):
    body = {"metadata": {"name": "d", "namespace": "default", "uid": "d", "resourceVersion": "1"}}
    body["metadata"]["labels"] = {"agenttype.dev/agent-type": "green"}
    world.seen(kinds.DEPLOYMENT, body, by=AGENT)

    assert told == set()


def test_an_echo_of_what_is_known_concerns_nobody(world, told):
    world.seen(kinds.MODEL_BACKEND, stored(backend_manifest()))

    assert told == set()


def test_the_memory_of_a_pod_ends_with_it():
    gone = []
    world = Informer(Cache(), BINDING)
    world.on_gone(gone.append)
    pod = {"metadata": {"name": "p", "namespace": "default", "uid": "p1", "resourceVersion": "1"}}
    world.seen(kinds.POD, pod)
    world.deleted(kinds.POD, pod)

    assert gone == ["p1"]
