"""After an upgrade of the chart alone the old definitions are still served: users are told, and what to do."""

import copy
import json
import shlex

import pytest
import yaml
from agenttype_api import definitions
from agenttype_operator.kube.crd_check import COMMAND
from support import clusters, kinds
from support.operators import operator, prepared

pytestmark = pytest.mark.timeout(300)  # a control plane and an operator start in the first test
DEFINITIONS = {found["spec"]["names"]["kind"]: found for found in definitions.custom_resource_definitions()}


def older():
    """The definition of AgentType as it was before spec.description."""
    found = copy.deepcopy(DEFINITIONS["AgentType"])
    del found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["description"]
    return yaml.safe_dump(found)


@pytest.fixture(scope="module")
def control():
    with prepared() as found:
        yield found


@pytest.fixture
def namespace(control):
    clusters.install_kinds(control.kubeconfig, older())
    return control.namespace()


def apply_unchecked(control, manifest):
    """Apply a manifest as a client that asks for no validation: what the API server does not know, it drops."""
    control("apply", "--validate=false", "-f", "-", given=json.dumps(manifest))


def apply_definitions(control):
    """Run the command that the message names, in the repository."""
    program, *arguments = shlex.split(COMMAND)
    assert program == "kubectl"
    control(*[str(clusters.ROOT / argument) if "/" in argument else argument for argument in arguments])


def test_an_outdated_definition_is_told_until_the_new_one_is_applied(control, namespace):
    agent = kinds.agent_manifest(namespace=namespace, description="Reads logs.")
    with operator(control, "upgraded") as process:
        apply_unchecked(control, kinds.external_manifest("shared", namespace))
        apply_unchecked(control, agent)

        told = control.await_reason(namespace, "agenttype", "green", "Accepted", "CRDOutdated")

        assert "description" not in control.get(namespace, "agenttype", "green")["spec"]
        assert "spec.description" in told["message"]
        assert told["status"] == "False"
        described = control("describe", "agenttype", "green", "-n", namespace)
        assert COMMAND in described
        assert described.count("CRDOutdated") >= 2, "as a condition and as an Event"
        assert control.condition(namespace, "modelbackend", "shared", "Accepted")["reason"] == "Accepted"
        assert control.get(namespace, "deployment", "green"), "agents run on"

        apply_definitions(control)
        apply_unchecked(control, agent)

        control.await_reason(namespace, "agenttype", "green", "Accepted", "Accepted")
        assert control.get(namespace, "agenttype", "green")["spec"]["description"] == "Reads logs."
        assert process.poll() is None


def test_it_vanishes_from_objects_that_are_not_touched(control, namespace):
    with operator(control, "untouched") as process:
        apply_unchecked(control, kinds.agent_manifest(namespace=namespace))
        control.await_reason(namespace, "agenttype", "green", "Accepted", "CRDOutdated")

        apply_definitions(control)

        control.await_reason(namespace, "agenttype", "green", "Accepted", "Accepted")
        assert process.poll() is None


def test_the_operator_asks_for_no_more_than_it_may(control):
    forbidden = [
        event["requestURI"] for event in control.requests() if event.get("responseStatus", {}).get("code") == 403
    ]

    assert forbidden == []
    assert [event for event in control.requests() if "customresourcedefinitions" in event["requestURI"]]
