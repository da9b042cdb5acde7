"""Budgets on a real API server: shared ones, used up ones, and violations as Events."""

import json
import time

import pytest
from agenttype_api import keys
from support import kinds
from support.fake_node import FakeNode
from support.operators import Control, operator, prepared
from support.waiting import until

LABEL = "agenttype.dev/agent-type=green"
#: How long it is watched at rest: several sweeps.
REST_SECONDS = 12
SETTINGS = {"AGENTTYPE_OPERATOR_NATS_URL": "nats://store.test:4222"}
SHARED = {"limits": [kinds.a_limit("25.00", "day", resource="Cost", window="Day", scope="AgentType")]}


@pytest.fixture(scope="module")
def control():
    with prepared() as found, operator(found, "operator-0", **SETTINGS):
        yield found


@pytest.fixture
def namespace(control):
    found = control.namespace()
    control.apply(kinds.external_manifest("shared", found))
    return found


@pytest.fixture(scope="module")
def node(control):
    found = FakeNode(control)
    yield found
    found.close()


def running(control: Control, namespace: str, node: FakeNode, **spec) -> tuple[str, str]:
    """Apply green and let its pod run with the current policy; return the pod's address and the policy's hash."""
    control.apply(kinds.agent_manifest(namespace=namespace, **spec))
    control.await_reason(namespace, "agenttype", "green", "Programmed", "Pending")
    wanted = control.get(namespace, "agenttype", "green")["status"]["policyHash"]
    address = node.start(namespace, LABEL, keys.POLICY_STATUS_PATH, {"policyHash": wanted, "sequence": 1})
    control.await_reason(namespace, "agenttype", "green", "Ready", "Ready")
    return address, wanted


def sharing(control: Control, namespace: str) -> int:
    return control.get(namespace, "agentbudget", "team")["status"]["agentTypes"]


def test_a_budget_tells_how_many_share_it(control, namespace):
    control.apply(
        kinds.budget_manifest(namespace=namespace),
        kinds.agent_manifest(namespace=namespace, budget={"budgetRef": {"name": "team"}}),
        kinds.agent_manifest("red", namespace, budget={"budgetRef": {"name": "team"}}),
        kinds.agent_manifest("alone", namespace),
    )
    control.await_reason(namespace, "agentbudget", "team", "Ready", "Ready")
    until(lambda: sharing(control, namespace) == 2, lambda: str(control.get(namespace, "agentbudget", "team")))

    control("delete", "agenttype", "red", "-n", namespace)

    until(lambda: sharing(control, namespace) == 1, lambda: str(control.get(namespace, "agentbudget", "team")))
    assert control("get", "agentbudgets", "-n", namespace).split()[:2] == ["NAME", "READY"]


def test_a_budget_that_does_not_exist_is_told_until_it_does(control, namespace):
    control.apply(kinds.agent_manifest(namespace=namespace, budget={"budgetRef": {"name": "team"}}))

    told = control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "BudgetNotFound")
    assert '"team"' in told["message"]

    control.apply(kinds.budget_manifest(namespace=namespace))
    control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "WithinLimits")
    policy = json.loads(control.get(namespace, "configmap", "green-policy")["data"][keys.POLICY_FILE])
    assert policy["budget"]["limits"][0]["account"] == f"{namespace}.budget.team.day"
    assert policy["nats"] == {"url": SETTINGS["AGENTTYPE_OPERATOR_NATS_URL"]}


def test_a_changed_budget_reaches_the_policies_of_those_who_share_it(control, namespace):
    control.apply(
        kinds.budget_manifest(namespace=namespace),
        kinds.agent_manifest(namespace=namespace, budget={"budgetRef": {"name": "team"}}),
    )
    until(lambda: control.get(namespace, "configmap", "green-policy"), lambda: "no policy")

    control.apply(kinds.budget_manifest(namespace=namespace, limits=[kinds.a_limit("7", "day", window="Day")]))

    def maximum():
        text = control.get(namespace, "configmap", "green-policy")["data"][keys.POLICY_FILE]
        return json.loads(text)["budget"]["limits"][0]["max"]

    until(lambda: maximum() == 7, lambda: str(maximum()))


def test_a_used_up_limit_is_told_at_once_and_taken_back(control, namespace, node):
    address, wanted = running(control, namespace, node, budget=SHARED)

    node.tell(address, keys.POLICY_STATUS_PATH, {"policyHash": wanted, "exhausted": ["day"]})
    told = control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "Exhausted")
    ready = control.condition(namespace, "agenttype", "green", "Ready")
    node.tell(address, keys.POLICY_STATUS_PATH, {"policyHash": wanted})

    control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "WithinLimits")
    assert told["message"] == 'limit "day" is used up: it starts again with the next day, in UTC'
    assert (ready["status"], ready["message"]) == ("False", f"BudgetAvailable: {told['message']}")


def test_a_store_that_a_pod_cannot_reach_is_told(control, namespace, node):
    address, wanted = running(control, namespace, node, budget=SHARED)

    node.tell(address, keys.POLICY_STATUS_PATH, {"policyHash": wanted, "natsError": "connection refused"})

    told = control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "NatsUnreachable")
    assert "connection refused" in told["message"]


def a_violation(sequence: int, at: float) -> dict[str, object]:
    about = {"rule": "no-keys", "appliedTo": "ToolCall", "action": "Deny", "subject": "crm/lookup"}
    return {"sequence": sequence, "at": at, **about}


def events(control: Control, namespace: str) -> list[dict[str, object]]:
    found = control.get(namespace, "events.events.k8s.io") or {"items": []}
    return [event for event in found["items"] if event["reason"] == "PolicyViolation"]


def test_a_violation_becomes_an_event_of_the_agent(control, namespace, node):
    address, wanted = running(control, namespace, node)
    # The minute is over already: how many there were is told at once.
    at = a_minute_ago()

    found = [a_violation(1, at), a_violation(2, at + 1), a_violation(3, at + 2)]
    node.tell(address, keys.POLICY_STATUS_PATH, {"policyHash": wanted, "violations": found})
    until(lambda: events(control, namespace), lambda: "no event")
    until(lambda: "series" in events(control, namespace)[0], lambda: str(events(control, namespace)))

    [event] = events(control, namespace)
    assert (event["type"], event["action"], event["regarding"]["kind"]) == ("Warning", "Deny", "AgentType")
    assert event["note"].startswith('rule "no-keys" applied to ToolCall "crm/lookup" of pod "green-')
    assert event["series"]["count"] == 3
    assert "no-keys" in control("describe", "agenttype", "green", "-n", namespace)


def a_minute_ago() -> float:
    """The start of a minute that is over, in Unix seconds."""
    return (time.time() // 60 - 2) * 60


def test_at_rest_a_running_pod_costs_neither_a_write_nor_a_question(control, namespace, node):
    address, _ = running(control, namespace, node, budget=SHARED)
    until(lambda: address in node.polled, lambda: "the pod is not waited for")
    asked, polled, began = node.asked.count(address), node.polled.count(address), control.now()

    time.sleep(REST_SECONDS)

    assert (node.asked.count(address), node.polled.count(address)) == (asked, polled)
    assert [write for write in control.writes(began) if not write.endswith("leases/agenttype-operator")] == []


def test_no_request_of_the_operator_was_ever_forbidden(control):
    forbidden = [
        event["requestURI"] for event in control.requests() if event.get("responseStatus", {}).get("code") == 403
    ]

    assert forbidden == []
