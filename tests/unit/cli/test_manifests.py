"""What files may say, and what is refused with the words that tell the fix."""

import pytest
import yaml
from agenttype_cli import manifests, plan
from agenttype_cli.errors import BadManifest, BadPolicy, Missing
from support.kinds import a_limit, agent_manifest, backend_manifest, external_manifest


def read(tmp_path, *documents):
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return manifests.read([str(file)])


def test_a_folder_is_all_of_its_yaml_files(tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(agent_manifest()))
    (tmp_path / "b.yml").write_text(yaml.safe_dump(backend_manifest()))
    (tmp_path / "notes.txt").write_text("not: [yaml")

    found = manifests.read([str(tmp_path)])

    assert (list(found.agents), list(found.backends)) == (["green"], ["shared"])


def test_objects_of_others_are_passed_over(tmp_path):
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"anything": 1}}

    assert list(read(tmp_path, service, agent_manifest()).agents) == ["green"]


def test_a_list_is_its_items(tmp_path):
    assert list(read(tmp_path, {"kind": "List", "items": [agent_manifest()]}).agents) == ["green"]


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ([agent_manifest(bugdet={})], "spec: unknown member 'bugdet'; did you mean 'budget'?"),
        ([agent_manifest(budget={"limits": [{**a_limit(), "maxx": "1"}]})], r"limits\[0\]: unknown member 'maxx'"),
        ([agent_manifest(models=[])], "spec.models"),
        ([agent_manifest(), agent_manifest()], "two of this name"),
        ([{**agent_manifest(), "apiVersion": "agenttype.dev/v9"}], "unknown kind"),
        ([{**agent_manifest(), "kind": "Agent"}], "unknown kind 'Agent'"),
        ([{**agent_manifest(), "metadata": {}}], "metadata.name"),
        ([["a list"]], "not a Kubernetes object"),
    ],
)
def test_a_bad_manifest_is_refused_with_the_place(tmp_path, documents, words):
    with pytest.raises(BadManifest, match=words):
        read(tmp_path, *documents)


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    (tmp_path / "agent.yaml").write_text("a: [b")

    with pytest.raises(BadManifest, match=r"agent\.yaml: not valid YAML"):
        manifests.read([str(tmp_path / "agent.yaml")])


def test_the_only_agent_needs_no_name(tmp_path):
    assert plan.chosen_agent(read(tmp_path, agent_manifest("red")), None).metadata.name == "red"


def test_one_of_several_agents_must_be_named(tmp_path):
    found = read(tmp_path, agent_manifest("red"), agent_manifest("green"))

    with pytest.raises(BadManifest, match="several AgentTypes"):
        plan.chosen_agent(found, None)
    assert plan.chosen_agent(found, "green").metadata.name == "green"


def test_a_backend_of_a_cluster_needs_an_address(tmp_path):
    found = read(tmp_path, agent_manifest(), backend_manifest())

    with pytest.raises(Missing, match="--backend shared="):
        plan.run_plan(found.agents["green"], found, {}, None)


def test_an_address_replaces_the_one_in_the_cluster(tmp_path):
    found = read(tmp_path, agent_manifest(), backend_manifest())

    planned = plan.run_plan(found.agents["green"], found, {"shared": "http://127.0.0.1:8000/"}, None)

    assert planned.document.backends[0].url == "http://127.0.0.1:8000"


def test_an_address_of_a_backend_that_nobody_uses_is_refused(tmp_path):
    found = read(tmp_path, agent_manifest(), backend_manifest())

    with pytest.raises(BadPolicy, match="typo"):
        plan.run_plan(found.agents["green"], found, {"typo": "http://127.0.0.1:8000"}, None)


def test_a_missing_backend_is_told_in_words_of_files(tmp_path):
    found = read(tmp_path, agent_manifest())

    with pytest.raises(BadPolicy, match='no ModelBackend "shared" among the files'):
        plan.run_plan(found.agents["green"], found, {}, None)


def test_every_secret_of_a_policy_is_asked_for(tmp_path):
    key = {"name": "keys", "key": "outside"}
    agent = agent_manifest(
        models=[{"match": ["*"], "backendRef": {"name": "outside"}}],
        tools=[{"name": "crm", "mcp": {"url": "http://crm.test/mcp"}, "credentialRef": {"name": "keys", "key": "crm"}}],
    )
    found = read(tmp_path, agent, external_manifest(credentialRef=key))

    planned = plan.run_plan(found.agents["green"], found, {}, None)

    wanted = {path: (reference.name, reference.key) for path, reference in planned.credentials.items()}
    assert wanted == {"backends/outside/key": ("keys", "outside"), "tools/crm/credential": ("keys", "crm")}


def test_a_key_that_yaml_reads_as_a_truth_value_is_read_as_kubectl_reads_it(tmp_path):
    (tmp_path / "settings.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {on: a}}")

    assert manifests.read([str(tmp_path)]).values["ConfigMap/x"] == {"true": "a"}
