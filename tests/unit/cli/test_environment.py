"""What the command finds in its environment."""

import pytest
import yaml
from agenttype_api.environment import Endpoints
from agenttype_cli import environment, manifests, secrets
from agenttype_cli.errors import Missing
from support.kinds import agent_container, agent_manifest, backend_manifest, pod

WHERE = Endpoints(1, 2)
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"crm": "s3cret"}}


def added(tmp_path, env=(), own=None, others=(), **container):
    manifest = agent_manifest(template=pod(agent_container(env=list(env), **container)))
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump_all([manifest, backend_manifest(), *others]))
    found = manifests.read([str(file)])
    return environment.of_container(found.agents["green"], found, own or {}, WHERE, "/wrapper")


def test_calls_are_sent_to_the_sidecar_whatever_the_manifest_says(tmp_path):
    found = added(tmp_path, [{"name": "OPENAI_BASE_URL", "value": "http://elsewhere"}])

    assert found["OPENAI_BASE_URL"] == "http://127.0.0.1:1/openai/v1"


def test_references_are_resolved_as_the_kubelet_does(tmp_path):
    env = [{"name": "A", "value": "one"}, {"name": "B", "value": "$(A) $(LATER) $$(A) $(HOME)"}]

    assert added(tmp_path, env, {"HOME": "/me"})["B"] == "one $(LATER) $(A) /me"


def test_the_wrapper_stands_before_what_the_caller_has(tmp_path):
    assert added(tmp_path, own={"PYTHONPATH": "/mine"})["PYTHONPATH"] == "/wrapper:/mine"


def test_a_secret_among_the_files_is_read(tmp_path):
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "crm"}}}]

    assert added(tmp_path, env, others=[SECRET])["KEY"] == "s3cret"


def test_all_of_a_secret_can_be_taken(tmp_path):
    found = added(tmp_path, others=[SECRET], envFrom=[{"prefix": "MY_", "secretRef": {"name": "keys"}}])

    assert found["MY_crm"] == "s3cret"


def test_a_value_that_nobody_has_comes_from_the_callers_environment_or_is_asked_for(tmp_path):
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "crm"}}}]

    assert added(tmp_path, env, {"KEY": "mine"})["KEY"] == "mine"
    with pytest.raises(Missing, match="set KEY in your environment"):
        added(tmp_path, env)


def test_the_pods_own_name_is_the_agents(tmp_path):
    env = [{"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]

    assert added(tmp_path, env)["ME"] == "green"


def test_policy_only_brings_neither_wrapper_nor_the_manifests_own(tmp_path):
    file = tmp_path / "agent.yaml"
    container = agent_container(env=[{"name": "MINE", "value": "1"}])
    file.write_text(yaml.safe_dump(agent_manifest(template=pod(container))))
    found = environment.of_policy(manifests.read([str(file)]).agents["green"], {"NO_PROXY": "corp"}, WHERE)

    assert ("MINE" in found, "PYTHONPATH" in found) == (False, False)
    assert (found["NO_PROXY"], found["OPENAI_BASE_URL"]) == (
        "127.0.0.1,localhost,::1,corp",
        "http://127.0.0.1:1/openai/v1",
    )


def test_a_secret_comes_from_a_variable_a_file_or_the_manifests(tmp_path, monkeypatch):
    monkeypatch.setenv("CRM", "from-env")
    (tmp_path / "key").write_text("from-file\n")
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(SECRET))
    found = manifests.read([str(tmp_path / "agent.yaml")])
    reference = manifests.v1alpha1.ToolSpec.model_validate(
        {"name": "crm", "mcp": {"url": "http://x"}, "credentialRef": {"name": "keys", "key": "crm"}}
    ).credential_ref

    values = [
        secrets.value(reference, found, sources)
        for sources in ({}, {"keys/crm": "env:CRM"}, {"keys/crm": str(tmp_path / "key")})
    ]

    assert values == ["s3cret", "from-env", "from-file"]
    with pytest.raises(Missing, match="variable NOPE"):
        secrets.value(reference, found, {"keys/crm": "env:NOPE"})
