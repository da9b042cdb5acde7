"""The operator on a real API server, from a manifest to its children and its status, and back."""

import json
import time

import pytest
from agenttype_api import keys
from support import kinds
from support.fake_node import FakeNode
from support.operators import Control, operator, prepared
from support.waiting import until

CHILDREN = "deployments,services,configmaps,serviceaccounts,networkpolicies"
#: How long the audit log is watched at rest: several sweeps and retries.
REST_SECONDS = 20


@pytest.fixture(scope="module")
def control():
    with prepared() as found, operator(found, "operator-0"):
        yield found


@pytest.fixture
def namespace(control):
    return control.namespace()


@pytest.fixture(scope="module")
def node(control):
    found = FakeNode(control)
    yield found
    found.close()


def children(control: Control, namespace: str) -> set[str]:
    found = control.get(namespace, CHILDREN, "-l", f"{keys.LABEL_MANAGED_BY}={keys.MANAGED_BY}")
    return {f"{item['kind']}/{item['metadata']['name']}" for item in (found or {"items": []})["items"]}


def await_children(control: Control, namespace: str, wanted: set[str]) -> None:
    until(lambda: children(control, namespace) == wanted, lambda: str(sorted(children(control, namespace))))


GREEN = {"Deployment/green", "ConfigMap/green-policy", "ServiceAccount/green"}
SHARED = {
    "Deployment/shared-backend",
    "ConfigMap/shared-gate",
    "ServiceAccount/shared-backend",
    "Service/shared-backend",
    "NetworkPolicy/shared-backend",
}


def test_an_agent_and_its_backend_get_what_they_need(control, namespace):
    control.apply(
        kinds.backend_manifest(namespace=namespace),
        kinds.agent_manifest(namespace=namespace, interface={"port": 8080}),
    )

    await_children(control, namespace, {*GREEN, *SHARED, "Service/green"})
    control.await_reason(namespace, "agenttype", "green", "ResolvedRefs", "Resolved")
    status = control.get(namespace, "agenttype", "green")["status"]
    assert status["observedGeneration"] == 1
    assert status["selector"] == "agenttype.dev/agent-type=green"
    assert [condition["type"] for condition in status["conditions"]] == [
        "Accepted",
        "ResolvedRefs",
        "AdapterLoaded",
        "Programmed",
        "BudgetAvailable",
        "Available",
        "Ready",
    ]


def test_a_new_policy_reaches_the_config_map_and_leaves_the_pods_alone(control, namespace):
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))
    control.await_reason(namespace, "agenttype", "green", "Programmed", "Pending")
    before = control.get(namespace, "agenttype", "green")["status"]["policyHash"]

    control.apply(kinds.agent_manifest(namespace=namespace, budget={"limits": [kinds.a_limit("7")]}))

    until(lambda: control.get(namespace, "agenttype", "green")["status"]["policyHash"] != before, lambda: before)
    policy = json.loads(control.get(namespace, "configmap", "green-policy")["data"][keys.POLICY_FILE])
    assert policy["budget"]["limits"][0]["max"] == 7
    assert control.get(namespace, "deployment", "green")["metadata"]["generation"] == 1


def test_deleting_leaves_no_child(control, namespace):
    control.apply(kinds.backend_manifest(namespace=namespace), kinds.agent_manifest(namespace=namespace))
    await_children(control, namespace, GREEN | SHARED)

    control("delete", "agenttypes,modelbackends", "--all", "-n", namespace)

    await_children(control, namespace, set())


def test_a_child_that_is_no_longer_planned_is_removed(control, namespace):
    control.apply(
        kinds.external_manifest("shared", namespace),
        kinds.agent_manifest(namespace=namespace, interface={"port": 8080}),
    )
    await_children(control, namespace, {*GREEN, "Service/green"})

    control("patch", "agenttype", "green", "-n", namespace, "--type=merge", "-p", '{"spec":{"interface":null}}')

    await_children(control, namespace, GREEN)


def test_a_foreign_object_of_our_name_is_left_alone_until_it_is_gone(control, namespace):
    control("create", "configmap", "green-policy", "-n", namespace, "--from-literal=mine=1")
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))

    told = control.await_reason(namespace, "agenttype", "green", "Programmed", "NameConflict")

    assert "green-policy" in told["message"]
    assert control.get(namespace, "configmap", "green-policy")["data"] == {"mine": "1"}
    assert control.get(namespace, "deployment", "green") is None
    until(lambda: "NameConflict" in control("get", "events.events.k8s.io", "-n", namespace), lambda: "no event")

    control("delete", "configmap", "green-policy", "-n", namespace)
    await_children(control, namespace, GREEN)


def test_an_unresolved_reference_makes_nothing_and_is_told(control, namespace):
    control.apply(kinds.agent_manifest(namespace=namespace))

    told = control.await_reason(namespace, "agenttype", "green", "ResolvedRefs", "BackendNotFound")

    assert '"shared"' in told["message"]
    assert children(control, namespace) == set()

    control.apply(kinds.external_manifest("shared", namespace))
    await_children(control, namespace, GREEN)


def test_a_reference_that_breaks_later_leaves_the_children_as_they_are(control, namespace):
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))
    await_children(control, namespace, GREEN)

    control("delete", "modelbackend", "shared", "-n", namespace)

    control.await_reason(namespace, "agenttype", "green", "ResolvedRefs", "BackendNotFound")
    assert children(control, namespace) == GREEN


def test_a_changed_child_is_repaired(control, namespace):
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))
    await_children(control, namespace, GREEN)

    control(
        "patch", "configmap", "green-policy", "-n", namespace, "--type=merge", "-p", '{"data":{"policy.json":"{}"}}'
    )

    until(
        lambda: control.get(namespace, "configmap", "green-policy")["data"][keys.POLICY_FILE] != "{}",
        lambda: "still changed",
    )


def test_a_child_that_lost_our_label_gets_it_back(control, namespace):
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))
    await_children(control, namespace, GREEN)

    control("label", "deployment", "green", "-n", namespace, f"{keys.LABEL_MANAGED_BY}-")

    await_children(control, namespace, GREEN)


def test_a_quota_is_told_and_heals(control, namespace):
    control("create", "quota", "none", "-n", namespace, "--hard=count/deployments.apps=0")
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))

    told = control.await_reason(namespace, "agenttype", "green", "Programmed", "Forbidden")
    assert "exceeded quota" in told["message"]

    control("delete", "quota", "none", "-n", namespace)
    await_children(control, namespace, GREEN)


def test_running_pods_acknowledge_and_are_then_left_in_peace(control, namespace, node):
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))
    control.await_reason(namespace, "agenttype", "green", "Programmed", "Pending")
    wanted = control.get(namespace, "agenttype", "green")["status"]["policyHash"]

    address = node.start(
        namespace, "agenttype.dev/agent-type=green", keys.POLICY_STATUS_PATH, {"policyHash": wanted, "error": ""}
    )

    control.await_reason(namespace, "agenttype", "green", "Ready", "Ready")
    asked = len(node.asked)
    [pod] = control.get(namespace, "pods")["items"]
    assert keys.ANNOTATION_POLICY_HASH not in pod["metadata"].get("annotations", {})

    control.apply(kinds.agent_manifest(namespace=namespace, budget={"limits": [kinds.a_limit("7")]}))
    control.await_reason(namespace, "agenttype", "green", "Programmed", "Pending")
    wanted = control.get(namespace, "agenttype", "green")["status"]["policyHash"]
    until(
        lambda: (
            control.get(namespace, "pods")["items"][0]["metadata"]["annotations"][keys.ANNOTATION_POLICY_HASH] == wanted
        ),
        lambda: "the pod was not touched",
    )
    node.says[address] = {keys.POLICY_STATUS_PATH: {"policyHash": wanted, "error": ""}}
    control.await_reason(namespace, "agenttype", "green", "Ready", "Ready")
    assert len(node.asked) > asked


def test_a_policy_that_a_sidecar_refuses_is_told(control, namespace, node):
    control.apply(kinds.external_manifest("shared", namespace), kinds.agent_manifest(namespace=namespace))

    node.start(
        namespace,
        "agenttype.dev/agent-type=green",
        keys.POLICY_STATUS_PATH,
        {"policyHash": "0" * 16, "error": "unknown member"},
    )

    told = control.await_reason(namespace, "agenttype", "green", "Programmed", "PolicyRejected")
    assert "unknown member" in told["message"]


def test_an_adapter_is_loaded_when_the_gate_says_so(control, namespace, node):
    control.apply(
        kinds.backend_manifest(namespace=namespace),
        kinds.adapter_manifest(namespace=namespace),
        kinds.agent_manifest(
            namespace=namespace,
            models=[{"match": ["*"], "backendRef": {"name": "shared"}, "adapterRef": {"name": "green"}}],
        ),
    )
    control.await_reason(namespace, "loraadapter", "green", "Loaded", "NotProbed")
    until(
        lambda: (
            "green@"
            in (control.get(namespace, "configmap", "shared-gate") or {"data": {}})["data"].get(
                keys.GATE_POLICY_FILE, ""
            )
        ),
        lambda: "the adapter is not in the gate's document",
    )
    control.await_reason(namespace, "modelbackend", "shared", "Programmed", "Pending")
    served = control.get(namespace, "loraadapter", "green")["status"]["servedName"]
    report = {
        "policyHash": control.get(namespace, "modelbackend", "shared")["status"]["policyHash"],
        "engineReady": True,
        "adapters": [{"name": "green", "servedName": served, "state": "Loaded"}],
    }

    node.start(namespace, "agenttype.dev/model-backend=shared", keys.GATE_STATUS_PATH, report)

    control.await_reason(namespace, "modelbackend", "shared", "Ready", "Ready")
    control.await_reason(namespace, "loraadapter", "green", "Ready", "Ready")
    control.await_reason(namespace, "agenttype", "green", "AdapterLoaded", "Loaded")


def test_a_wrong_digest_is_told_by_the_adapter_and_its_agents(control, namespace, node):
    control.apply(
        kinds.backend_manifest(namespace=namespace),
        kinds.adapter_manifest(namespace=namespace),
        kinds.agent_manifest(
            namespace=namespace,
            models=[{"match": ["*"], "backendRef": {"name": "shared"}, "adapterRef": {"name": "green"}}],
        ),
    )
    control.await_reason(namespace, "loraadapter", "green", "Loaded", "NotProbed")
    served = control.get(namespace, "loraadapter", "green")["status"]["servedName"]
    told = {"name": "green", "servedName": served, "state": "DigestMismatch", "message": "other bytes"}

    node.start(
        namespace,
        "agenttype.dev/model-backend=shared",
        keys.GATE_STATUS_PATH,
        {"policyHash": "0" * 16, "engineReady": True, "adapters": [told]},
    )

    assert (
        "other bytes" in control.await_reason(namespace, "loraadapter", "green", "Loaded", "DigestMismatch")["message"]
    )
    control.await_reason(namespace, "agenttype", "green", "AdapterLoaded", "DigestMismatch")


def test_gates_may_review_tokens_while_their_backend_lives(control, namespace):
    control.apply(kinds.backend_manifest(namespace=namespace))
    who = f"--as=system:serviceaccount:{namespace}:shared-backend"

    until(lambda: _may(control, who), lambda: "the gate may not review tokens")

    control("delete", "modelbackend", "shared", "-n", namespace)
    until(lambda: not _may(control, who), lambda: "the right outlives the backend")


def _may(control: Control, who: str) -> bool:
    try:
        return control("auth", "can-i", "create", "tokenreviews.authentication.k8s.io", who).strip() == "yes"
    except AssertionError:  # kubectl says no with its exit status
        return False


def test_at_rest_nothing_is_written_but_the_lease(control, namespace):
    control.apply(
        kinds.backend_manifest(namespace=namespace),
        kinds.adapter_manifest(namespace=namespace),
        kinds.agent_manifest(namespace=namespace),
    )
    await_children(control, namespace, GREEN | SHARED)
    began = control.now()
    until(lambda: _quiet_since(control, began), lambda: str(control.writes(began)))
    began = control.now()

    time.sleep(REST_SECONDS)

    assert control.writes(began) == []


def _quiet_since(control: Control, began: int) -> bool:
    """Whether two seconds pass without a write."""
    seen = len(control.writes(began))
    time.sleep(2)
    return len(control.writes(began)) == seen


def test_no_request_of_the_operator_was_ever_forbidden(control):
    forbidden = [
        event["requestURI"]
        for event in control.requests()
        if event.get("responseStatus", {}).get("code") == 403
        and "quota" not in event["responseStatus"].get("message", "")
    ]

    assert forbidden == []
