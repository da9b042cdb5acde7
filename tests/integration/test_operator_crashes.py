"""The operator may die at any moment, and may be replaced: what it left half done is finished, once."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from agenttype_api import keys
from agenttype_api.gate_policy import GatePolicy
from support import kinds
from support.fake_node import FakeNode
from support.operators import Control, operator, paused, prepared
from support.waiting import until

#: Enough to pass every write of the story below; the sweep ends when an operator gets through without dying.
MOST_WRITES = 40
COMPARED = "deployments,services,configmaps,serviceaccounts,networkpolicies,agenttypes,modelbackends,loraadapters"
#: What differs from run to run without meaning anything.
MOVING = {
    *("uid", "resourceVersion", "creationTimestamp", "managedFields", "lastTransitionTime", "lastUpdateTime"),
    *(
        "clusterIP",
        "clusterIPs",
        "namespace",
        "observedGeneration",
        "generation",
        "policyHash",
        "agenttype.dev/applied",
    ),
    *("kubectl.kubernetes.io/last-applied-configuration", "message", "runAsUser", "runAsGroup", "data"),
}


@pytest.fixture(scope="module")
def control():
    with prepared() as found:
        yield found


def story(control: Control, namespace: str) -> None:
    """Create, then scale, change the policy and let a Service go, whatever the operator is doing meanwhile.

    The agent's own probe keeps its pod template the same throughout: without a kubelet a rollout would never end.
    """
    container = kinds.agent_container(readinessProbe={"tcpSocket": {"port": 8080}})
    agent = {"namespace": namespace, "template": kinds.pod(container)}
    control.apply(
        kinds.backend_manifest(namespace=namespace),
        kinds.adapter_manifest(namespace=namespace),
        kinds.agent_manifest(**agent, interface={"port": 8080}),
    )
    time.sleep(0.5)
    control.apply(kinds.agent_manifest(**agent, replicas=2, budget={"limits": [kinds.a_limit("7")]}))


def dump(control: Control, namespace: str) -> str:
    """Everything of a namespace that the operator makes or writes, in a comparable form."""
    found = control.get(namespace, COMPARED) or {"items": []}
    ours = [item for item in found["items"] if item["metadata"]["name"] not in {"default", "kube-root-ca.crt"}]
    return json.dumps([_still(item) for item in ours], sort_keys=True, indent=1).replace(namespace, "NAMESPACE")


def _still(value: object) -> object:
    if isinstance(value, dict):
        return {name: _still(part) for name, part in value.items() if name not in MOVING}
    return [_still(part) for part in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def undisturbed(control: Control) -> str:
    """What the story leads to when nothing dies."""
    namespace = control.namespace()
    with operator(control, "undisturbed"):
        story(control, namespace)
        settle(control, namespace)
    return dump(control, namespace)


def settle(control: Control, namespace: str) -> None:
    """Wait until the newest specs are told and nothing is written for two seconds."""
    until(lambda: _observed(control, namespace), lambda: dump(control, namespace))
    began = -1
    while began != len(control.writes()):
        began = len(control.writes())
        time.sleep(2)


def let_a_successor_finish(control: Control, namespace: str) -> None:
    """Run an operator under the dead one's name, which therefore need not wait for its Lease."""
    began = control.now()
    with operator(control, "mortal"):
        until(lambda: _watches(control, began), lambda: "the next operator does not watch")
        settle(control, namespace)


def _watches(control: Control, since: int) -> bool:
    return any(event["verb"] == "watch" for event in control.requests(since))


def _observed(control: Control, namespace: str) -> bool:
    items = (control.get(namespace, "agenttypes,modelbackends,loraadapters,deployments") or {"items": []})["items"]
    pods = {item["metadata"]["name"]: item.get("status", {}).get("replicas") for item in items}
    return pods == {"green": 2, "shared": None, "shared-backend": 1} and all(
        item.get("status", {}).get("observedGeneration") == item["metadata"]["generation"] for item in items
    )


def await_the_end(control: Control, namespace: str, process: subprocess.Popen) -> None:
    """Wait until an operator that was told to die has died, or has done all that there was to do."""
    until(
        lambda: process.poll() is not None or (_observed(control, namespace) and _idle(control)),
        lambda: f"neither dead nor done: {dump(control, namespace)}",
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_dying_at_any_write_leads_to_the_same_end(control, undisturbed, moment):
    # Dying after a write and dying before the next one meet the same cluster: every other number covers every point.
    died = 0
    for number in range(1, MOST_WRITES, 2):
        namespace = control.namespace()
        with operator(control, "mortal", crash=f"{moment}:{number}") as process:
            story(control, namespace)
            await_the_end(control, namespace, process)
            died += process.poll() == 137
            survived = process.poll() is None
        let_a_successor_finish(control, namespace)
        assert dump(control, namespace) == undisturbed, f"{moment} write {number}"
        control("delete", "agenttypes,modelbackends,loraadapters", "--all", "-n", namespace)
        if survived:
            break

    assert died >= 5


def _idle(control: Control) -> bool:
    seen = len(control.writes())
    time.sleep(3)
    return seen == len(control.writes())


def test_a_restart_writes_nothing_where_nothing_has_changed(control):
    namespace = control.namespace()
    route = {"match": ["*"], "backendRef": {"name": "shared"}, "adapterRef": {"name": "green"}}
    control.apply(
        kinds.backend_manifest(namespace=namespace),
        kinds.adapter_manifest(namespace=namespace),
        kinds.agent_manifest(namespace=namespace, models=[route]),
    )
    with contextlib.closing(FakeNode(control)) as node:
        with operator(control, "first"):
            control.await_reason(namespace, "modelbackend", "shared", "Programmed", "Pending")
            served = control.get(namespace, "loraadapter", "green")["status"]["servedName"]
            document = control.get(namespace, "configmap", "shared-gate")["data"][keys.GATE_POLICY_FILE]
            report = {
                "policyHash": GatePolicy.model_validate_json(document).hash(),
                "engineReady": True,
                "adapters": [{"name": "green", "servedName": served, "state": "Loaded"}],
            }
            node.start(namespace, "agenttype.dev/model-backend=shared", keys.GATE_STATUS_PATH, report)
            control.await_reason(namespace, "agenttype", "green", "AdapterLoaded", "Loaded")
            until(lambda: _idle(control), lambda: "the first operator does not come to rest")
        began, asked = control.now(), len(node.asked)

        with operator(control, "second"):
            until(lambda: len(node.asked) > asked and _idle(control), lambda: "the second operator asks nobody")

        assert control.writes(began) == []


@contextlib.contextmanager
def standby(control: Control, name: str) -> Iterator[None]:
    """Run an operator that has asked for a Lease that another one holds, and was told so."""
    began = control.now()
    with operator(control, name):
        until(lambda: _asked_for_the_lease(control, name, began) > 1, lambda: f"{name} does not stand by")
        yield


def _asked_for_the_lease(control: Control, name: str, since: int) -> int:
    asked = [event for event in control.requests(since) if event["userAgent"].endswith(f"/{name}")]
    return sum(event["verb"] == "get" and event["objectRef"]["resource"] == "leases" for event in asked)


def test_a_standby_takes_over_at_once_when_the_leader_leaves(control):
    with operator(control, "first") as leader:
        until(lambda: _holder(control) == "first", lambda: _holder(control))
        with standby(control, "second"):
            assert _holder(control) == "first"
            leader.send_signal(signal.SIGTERM)
            began = time.monotonic()
            until(lambda: _holder(control) == "second", lambda: _holder(control))
            assert time.monotonic() - began < 12  # a lease that is not given up is taken over after 15
            assert leader.wait(timeout=60) == 0


def test_a_leader_that_was_frozen_writes_nothing_after_its_time(control):
    namespace = control.namespace()
    with operator(control, "frozen") as leader:
        until(lambda: _holder(control) == "frozen", lambda: _holder(control))
        with standby(control, "successor"):
            leader.send_signal(signal.SIGSTOP)
            until(lambda: _holder(control) == "successor", lambda: _holder(control))
            story(control, namespace)
            settle(control, namespace)
            began = control.now()
            leader.send_signal(signal.SIGCONT)
            time.sleep(5)

            assert _holder(control) == "successor"
            agents = [event["userAgent"] for event in control.requests(began) if event["verb"] in {"patch", "create"}]
            assert [agent for agent in agents if agent.endswith("/frozen")] == []


def test_an_outage_of_the_api_server_is_outlived(control):
    namespace = control.namespace()
    with operator(control, "patient") as process:
        until(lambda: _holder(control) == "patient", lambda: _holder(control))
        with paused(control, "kube-apiserver"):
            time.sleep(15)
            assert process.poll() is None
        story(control, namespace)
        until(lambda: _observed(control, namespace), lambda: dump(control, namespace))
        assert process.poll() is None


def test_only_the_chosen_namespaces_are_served(control):
    chosen, other = control.namespace(), control.namespace()
    with operator(control, "modest", AGENTTYPE_OPERATOR_NAMESPACES=chosen):
        control.apply(kinds.external_manifest("shared", other), kinds.agent_manifest(namespace=other))
        control.apply(kinds.external_manifest("shared", chosen), kinds.agent_manifest(namespace=chosen))
        until(lambda: control.get(chosen, "deployment", "green"), lambda: "nothing is made")

        assert control.get(other, "deployment", "green") is None


def _holder(control: Control) -> str:
    lease = control.get("agenttype-system", "lease", "agenttype-operator") or {"spec": {}}
    return str(lease["spec"].get("holderIdentity", ""))
