"""The pods that the operator builds are those that the sidecar, the wrapper and the gate expect."""

from pathlib import Path

import pytest
from agenttype_api import keys
from agenttype_api import policy as api
from agenttype_api.gate_policy import GatePolicy
from agenttype_gate import options as gate_options
from agenttype_operator.informer.lister import Neighbours
from agenttype_operator.reconcile import plan
from agenttype_operator.settings import ChildSettings, Images
from agenttype_sidecar import options as sidecar_options
from agenttype_wrapper.payload.python._agenttype_wrapper import environment
from support.kinds import a_backend, an_adapter, an_agent_type, an_external_backend

SETTINGS = ChildSettings(Images("sidecar:1", "wrapper:1", "gate:1"))
BACKEND = an_external_backend("shared", credentialRef={"name": "key", "key": "token"})


@pytest.fixture(scope="module")
def agent_plan():
    found = plan.agent_plan(an_agent_type(interface={"port": 80}), Neighbours({}, {"shared": BACKEND}, {}), SETTINGS)
    return {body["kind"]: body for body in found.objects} | {"hash": found.policy_hash}


@pytest.fixture(scope="module")
def backend_plan():
    around = Neighbours({"green": an_agent_type()}, {}, {"green": an_adapter()})
    found = plan.backend_plan(a_backend(), around, SETTINGS)
    return {body["kind"]: body for body in found.objects} | {"hash": found.policy_hash}


def containers(objects):
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    return {found["name"]: found for found in (*spec.get("initContainers", ()), *spec["containers"])}


def mounted(container):
    return {Path(mount["mountPath"]): not mount.get("readOnly", False) for mount in container["volumeMounts"]}


def test_every_path_that_the_sidecar_opens_is_mounted(agent_plan):
    found, paths = sidecar_options.parse([]), mounted(containers(agent_plan)[keys.CONTAINER_SIDECAR])

    assert {found.policy.parent, found.ledger, found.token.parent, found.credentials} == set(paths)
    assert [path for path, writable in paths.items() if writable] == [found.ledger]


def test_every_path_that_the_gate_opens_is_mounted(backend_plan):
    found = gate_options.parse([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    paths = mounted(containers(backend_plan)[keys.CONTAINER_GATE])

    assert {found.policy.parent, found.adapter_source, found.adapters, found.api_token.parent} == set(paths)
    assert found.api_ca.parent == found.api_token.parent
    assert [path for path, writable in paths.items() if writable] == [found.adapters]


def test_documents_lie_under_the_names_that_are_read(agent_plan, backend_plan):
    assert list(agent_plan["ConfigMap"]["data"]) == [sidecar_options.parse([]).policy.name]
    assert list(backend_plan["ConfigMap"]["data"]) == [keys.GATE_POLICY_FILE]


def test_what_is_acknowledged_is_the_hash_of_what_was_written(agent_plan, backend_plan):
    agent = api.Policy.model_validate_json(agent_plan["ConfigMap"]["data"][keys.POLICY_FILE])
    gate = GatePolicy.model_validate_json(backend_plan["ConfigMap"]["data"][keys.GATE_POLICY_FILE])

    assert (agent.hash(), gate.hash()) == (agent_plan["hash"], backend_plan["hash"])


def test_an_api_key_lies_where_the_policy_says(agent_plan):
    policy = api.Policy.model_validate_json(agent_plan["ConfigMap"]["data"][keys.POLICY_FILE])
    volumes = agent_plan["Deployment"]["spec"]["template"]["spec"]["volumes"]
    [volume] = [volume for volume in volumes if volume["name"] == keys.VOLUME_CREDENTIALS]
    [source] = volume["projected"]["sources"]

    assert [item["path"] for item in source["secret"]["items"]] == [policy.backends[0].credential_file]


def test_probes_and_calls_go_to_the_ports_that_are_listened_on(agent_plan, backend_plan):
    sidecar = sidecar_options.parse([])
    gate = gate_options.parse([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})

    for container, health in (
        (containers(agent_plan)[keys.CONTAINER_SIDECAR], sidecar.health_port),
        (containers(backend_plan)[keys.CONTAINER_GATE], gate.health_port),
    ):
        probes = [probe for name, probe in container.items() if name.endswith("Probe")]
        assert {probe["httpGet"]["port"] for probe in probes} == {health}
    assert backend_plan["Service"]["spec"]["ports"][0]["targetPort"] == gate.gate_port


def test_the_grace_period_outlasts_the_gate_s_drain(backend_plan):
    spec = backend_plan["Deployment"]["spec"]["template"]["spec"]
    gate = gate_options.parse([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    before = containers(backend_plan)[keys.CONTAINER_GATE]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert before + gate.lame_duck_seconds + gate.drain_seconds < spec["terminationGracePeriodSeconds"]


def test_the_wrapper_is_copied_to_where_python_looks_for_it(agent_plan):
    inject, agent = containers(agent_plan)[keys.CONTAINER_INJECT], containers(agent_plan)[keys.CONTAINER_AGENT]
    variables = {variable["name"]: variable["value"] for variable in agent["env"]}

    assert inject["args"] == ["--to", environment.ROOT]
    assert Path(environment.ROOT) in mounted(agent)
    assert variables["PYTHONPATH"].startswith(environment.ROOT)


def test_whatever_we_add_to_a_pod_has_a_reserved_name(agent_plan):
    spec = agent_plan["Deployment"]["spec"]["template"]["spec"]
    added = {*containers(agent_plan), *(volume["name"] for volume in spec["volumes"])} - {keys.CONTAINER_AGENT}

    assert [name for name in added if not name.startswith(keys.RESERVED_PREFIX)] == []
