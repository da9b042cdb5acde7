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
def informer():
    found = Informer(Cache(), BINDING)
    found.observe(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER)))
    found.observe(
        kinds.AGENT_TYPE, stored(agent_manifest("other", models=[{"match": ["*"], "backendRef": {"name": "x"}}]))
    )
    found.observe(kinds.MODEL_BACKEND, stored(backend_manifest()))
    found.observe(kinds.LORA_ADAPTER, stored(adapter_manifest()))
    found.observe(kinds.MODEL_BACKEND, stored(external_manifest("lonely")))
    found.observe(kinds.AGENT_BUDGET, stored(budget_manifest()))
    return found


@pytest.fixture
def told(informer):
    keys = set()
    informer.add_event_handler(keys.add)
    return keys


def test_a_new_agent_concerns_itself_and_its_backends(informer, told):
    informer.observe(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER), 2, 2))

    assert told == {AGENT, BACKEND}


def test_an_agent_that_changes_backends_concerns_both(informer, told):
    models = [{"match": ["*"], "backendRef": {"name": "lonely"}}]
    informer.observe(kinds.AGENT_TYPE, stored(agent_manifest(models=models), 2, 2))

    assert told == {AGENT, BACKEND, Key("ModelBackend", "default", "lonely")}


def test_a_backend_concerns_its_agents_its_adapters_and_the_binding(informer, told):
    informer.observe(kinds.MODEL_BACKEND, stored(backend_manifest(model="/other"), 2, 2))

    assert told == {BACKEND, AGENT, ADAPTER, BINDING}


def test_a_deleted_backend_concerns_what_used_it(informer, told):
    informer.observe_deletion(kinds.MODEL_BACKEND, stored(backend_manifest(), 2))

    assert told == {AGENT, ADAPTER, BINDING}


def test_an_agent_whose_fallback_uses_a_backend_concerns_it(informer, told):
    models = [
        {"match": ["*"], "backendRef": {"name": "x"}, "fallback": [{"backendRef": {"name": "lonely"}}]},
    ]
    informer.observe(kinds.AGENT_TYPE, stored(agent_manifest("third", models=models)))

    assert told == {Key("AgentType", "default", "third"), Key("ModelBackend", "default", "lonely")}


def test_a_backend_concerns_the_agents_that_fall_back_to_it(informer, told):
    models = [
        {"match": ["*"], "backendRef": {"name": "x"}, "fallback": [{"backendRef": {"name": "lonely"}}]},
    ]
    informer.observe(kinds.AGENT_TYPE, stored(agent_manifest("third", models=models)))
    told.clear()

    informer.observe(kinds.MODEL_BACKEND, stored(external_manifest("lonely"), 2, 2))

    assert told == {Key("AgentType", "default", "third"), Key("ModelBackend", "default", "lonely"), BINDING}


def test_an_agent_concerns_the_budget_that_it_begins_to_share_and_the_one_that_it_leaves(informer, told):
    informer.observe(
        kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER, budget={"budgetRef": {"name": "team"}}), 2, 2)
    )
    assert told == {AGENT, BACKEND, BUDGET}
    told.clear()

    informer.observe(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER), 3, 3))

    assert told == {AGENT, BACKEND, BUDGET}


def test_a_budget_concerns_itself_and_the_agents_that_share_it(informer, told):
    informer.observe(
        kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER, budget={"budgetRef": {"name": "team"}}), 2, 2)
    )
    told.clear()

    informer.observe(kinds.AGENT_BUDGET, stored(budget_manifest(description="new"), 2, 2))

    assert told == {AGENT, BUDGET}


def test_a_deleted_budget_concerns_the_agents_that_shared_it(informer, told):
    informer.observe(
        kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER, budget={"budgetRef": {"name": "team"}}), 2, 2)
    )
    told.clear()

    informer.observe_deletion(kinds.AGENT_BUDGET, stored(budget_manifest(), 2))

    assert told == {AGENT}


def test_a_budget_s_own_status_concerns_nothing(informer, told):
    informer.observe(kinds.AGENT_BUDGET, stored(budget_manifest(), 2, status={"agentTypes": 1}))

    assert told == set()


def test_an_adapter_s_status_concerns_only_the_agents_that_show_it(informer, told):
    informer.observe(kinds.LORA_ADAPTER, stored(adapter_manifest(), 2, status={"servedName": "x"}))

    assert told == {AGENT}


def test_an_agent_s_own_status_concerns_nothing(informer, told):
    informer.observe(kinds.AGENT_TYPE, stored(agent_manifest(models=WITH_ADAPTER), 2, status={"replicas": 1}))

    assert told == set()


def test_a_pod_concerns_the_agent_whose_label_it_carries(informer, told):
    labels = {"agenttype.dev/agent-type": "green"}
    informer.observe(
        kinds.POD,
        {"metadata": {"name": "p", "namespace": "default", "uid": "p", "resourceVersion": "1", "labels": labels}},
    )

    assert told == {AGENT}


def test_a_pod_of_a_backend_concerns_its_adapters_too(informer, told):
    labels = {"agenttype.dev/model-backend": "shared", "app.kubernetes.io/managed-by": "agenttype-operator"}
    pod = {"kind": "Pod", "metadata": {"name": "p", "namespace": "default", "labels": labels}}

    informer.observe(kinds.POD, stored(pod))

    assert told == {BACKEND, ADAPTER}


def test_what_was_written_does_not_come_back_to_its_writer(informer, told):
    body = {"metadata": {"name": "d", "namespace": "default", "uid": "d", "resourceVersion": "1"}}
    body["metadata"]["labels"] = {"agenttype.dev/agent-type": "green"}
    informer.observe(kinds.DEPLOYMENT, body, by=AGENT)

    assert told == set()


def test_an_echo_of_what_is_known_concerns_nothing(informer, told):
    informer.observe(kinds.MODEL_BACKEND, stored(backend_manifest()))

    assert told == set()


def test_the_memory_of_a_pod_ends_with_it():
    gone = []
    informer = Informer(Cache(), BINDING)
    informer.on_pod_deleted(gone.append)
    pod = {"metadata": {"name": "p", "namespace": "default", "uid": "p1", "resourceVersion": "1"}}
    informer.observe(kinds.POD, pod)
    informer.observe_deletion(kinds.POD, pod)

    assert gone == ["p1"]
