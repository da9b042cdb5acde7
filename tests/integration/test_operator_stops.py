"""StopAgent on a real API server: scaled to zero, over restarts of the operator, until the spec changes."""

import pytest
from agenttype_api import keys
from support import kinds
from support.fake_node import FakeNode
from support.operators import Control, operator, prepared
from support.waiting import until

pytestmark = pytest.mark.timeout(300)  # a control plane and two operators start in the one test


@pytest.fixture(scope="module")
def control():
    with prepared() as found:
        yield found


@pytest.fixture
def node(control):
    found = FakeNode(control)
    yield found
    found.close()


def replicas(control: Control, namespace: str) -> int:
    return control.get(namespace, "deployment", "green")["spec"]["replicas"]


def test_an_agent_that_is_stopped_stays_so_over_a_restart_until_its_spec_changes(control, node):
    namespace = control.namespace()
    control.apply(kinds.external_manifest("shared", namespace))
    with operator(control, "operator-1"):
        control.apply(kinds.agent_manifest(namespace=namespace, replicas=1))
        control.await_reason(namespace, "agenttype", "green", "Programmed", "Pending")
        wanted = control.get(namespace, "agenttype", "green")["status"]["policyHash"]
        address = node.start(
            namespace, "agenttype.dev/agent-type=green", keys.POLICY_STATUS_PATH, {"policyHash": wanted, "sequence": 1}
        )
        control.await_reason(namespace, "agenttype", "green", "Ready", "Ready")
        node.tell(address, keys.POLICY_STATUS_PATH, {"policyHash": wanted, "stopped": 'rule "shell"'})
        told = control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "Stopped")
        until(lambda: replicas(control, namespace) == 0, lambda: str(replicas(control, namespace)))
        until(lambda: not control.get(namespace, "pods"), lambda: "a pod is left")
    assert told["message"] == 'the agent was stopped: rule "shell"; it stays so until its spec changes'
    assert control.get(namespace, "agenttype", "green")["spec"]["replicas"] == 1

    with operator(control, "operator-2"):
        until(lambda: _leads(control, "operator-2"), lambda: "no replica leads")
        # All objects were looked at when it began; one that comes later shows that this is done.
        control.apply(kinds.agent_manifest("other", namespace))
        control.await_reason(namespace, "agenttype", "other", "ResolvedRefs", "Resolved")
        assert replicas(control, namespace) == 0
        assert control.condition(namespace, "agenttype", "green", "BudgetAvailable") == told

        control.apply(kinds.agent_manifest(namespace=namespace, replicas=1, description="mended"))
        until(lambda: replicas(control, namespace) == 1, lambda: str(replicas(control, namespace)))
        control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "WithinLimits")


def _leads(control: Control, name: str) -> bool:
    lease = control.get("agenttype-system", "lease", "agenttype-operator")
    return bool(lease) and lease["spec"]["holderIdentity"] == name
