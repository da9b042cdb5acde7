"""The control plane that the other integration tests stand on."""

import json

import pytest
from support import clusters, machine

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.test.agenttype.dev}
spec:
  group: test.agenttype.dev
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          size: {type: integer}
        x-kubernetes-validations: [{rule: "self.size < 3", message: "too large for a test"}]
"""
THING = "{apiVersion: test.agenttype.dev/v1, kind: Thing, metadata: {name: one}, size: 5}"


@pytest.fixture(scope="module")
def kubeconfig():
    with clusters.control_plane() as path:
        yield path


def test_control_planes_live_side_by_side(kubeconfig):
    with clusters.control_plane() as other:
        clusters.kubectl(other, "create", "namespace", "only-here")
        assert "only-here" not in clusters.kubectl(kubeconfig, "get", "namespaces")


def test_a_control_plane_leaves_no_process():
    with clusters.control_plane() as path:
        running = machine.processes_that_name(path.parent)
    assert len(running) == 3
    assert machine.processes_that_name(path.parent) == []


def test_a_validation_rule_of_a_custom_kind_holds(kubeconfig):
    clusters.install_kinds(kubeconfig, CRD)
    with pytest.raises(AssertionError, match="too large for a test"):
        clusters.kubectl(kubeconfig, "apply", "-f", "-", given=THING)


def test_a_token_of_a_service_account_holds_the_rights_of_its_role(kubeconfig):
    clusters.kubectl(kubeconfig, "create", "serviceaccount", "reader")
    clusters.kubectl(
        kubeconfig, "create", "rolebinding", "reader", "--clusterrole=view", "--serviceaccount=default:reader"
    )
    assert clusters.kubectl(kubeconfig, "create", "token", "reader", "--audience=agenttype.dev/gate").count(".") == 2
    may = clusters.kubectl(kubeconfig, "auth", "can-i", "list", "pods", "--as=system:serviceaccount:default:reader")
    assert may.strip() == "yes"


def test_every_request_is_in_the_audit_log(kubeconfig):
    clusters.kubectl(kubeconfig, "create", "configmap", "audited")
    events = map(json.loads, clusters.audit_log(kubeconfig).read_text().splitlines())
    seen = [event["verb"] for event in events if event.get("objectRef", {}).get("name") == "audited"]
    assert seen == ["create"]
