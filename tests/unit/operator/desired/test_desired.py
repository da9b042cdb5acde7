"""What should exist: builders, checked by what matters about their output."""

import dataclasses
import itertools
import json

import pytest
from agenttype_api import compile as compiler
from agenttype_api import keys, names, v1alpha1
from agenttype_operator.desired import metadata
from agenttype_operator.informer.lister import Neighbours
from agenttype_operator.reconcile import plan
from agenttype_operator.settings import ChildSettings, Images
from hypothesis import given
from hypothesis import strategies as st
from support.kinds import (
    a_backend,
    a_limit,
    agent_container,
    agent_manifest,
    an_adapter,
    an_agent_type,
    an_external_backend,
    backend_manifest,
    pod,
)

AGENT = an_agent_type()
SETTINGS = ChildSettings(Images("sidecar:1", "wrapper:1", "gate:1", "Never"))


def agent_objects(agent=None, *backends):
    agent = agent or an_agent_type()
    known = {backend.metadata.name: backend for backend in backends or (an_external_backend("shared"),)}
    found = plan.agent_plan(agent, Neighbours({}, known, {}), SETTINGS).objects
    return {body["kind"]: body for body in found}


def backend_objects(backend=None, agents=(), adapters=()):
    around = Neighbours(
        {agent.metadata.name: agent for agent in agents},
        {},
        {adapter.metadata.name: adapter for adapter in adapters},
    )
    return {body["kind"]: body for body in plan.backend_plan(backend or a_backend(), around, SETTINGS).objects}


def pod_of(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def container(spec, name):
    return next(found for found in (*spec.get("initContainers", ()), *spec["containers"]) if found["name"] == name)


def written_agent(**members):
    return an_agent_type(template=pod(agent_container(**members)))


def test_the_sidecar_starts_first_and_the_wrapper_before_the_user_s_own():
    template = pod(initContainers=[{"name": "mine", "image": "x"}])

    spec = pod_of(agent_objects(an_agent_type(template=template)))

    assert [found["name"] for found in spec["initContainers"]] == ["agenttype-sidecar", "agenttype-inject", "mine"]
    assert spec["initContainers"][0]["restartPolicy"] == "Always"


def test_what_the_author_wrote_stays_as_written():
    written = {"command": ["run"], "args": ["--x"], "image": "acme/bot@sha256:1", "workingDir": "/w", "tty": True}

    agent = container(pod_of(agent_objects(written_agent(**written))), "agent")

    assert {name: agent[name] for name in written} == written


def test_the_agent_mounts_the_library_and_nothing_else_of_ours():
    agent = container(pod_of(agent_objects()), "agent")

    assert agent["volumeMounts"] == [{"name": keys.VOLUME_LIB, "mountPath": keys.WRAPPER_ROOT, "readOnly": True}]


def test_without_a_wrapper_there_is_neither_init_container_nor_library():
    spec = pod_of(agent_objects(an_agent_type(injection={"wrapper": []})))

    assert [found["name"] for found in spec["initContainers"]] == ["agenttype-sidecar"]
    assert "volumeMounts" not in container(spec, "agent")
    assert keys.VOLUME_LIB not in {volume["name"] for volume in spec["volumes"]}


def test_only_the_sidecar_can_read_policy_token_ledger_and_keys():
    backend = an_external_backend("shared", credentialRef={"name": "key", "key": "token"})
    spec = pod_of(agent_objects(an_agent_type(), backend))
    private = {keys.VOLUME_POLICY, keys.VOLUME_TOKEN, keys.VOLUME_LEDGER, keys.VOLUME_CREDENTIALS}

    mounted = {
        found["name"]: private & {mount["name"] for mount in found.get("volumeMounts", ())}
        for found in (*spec["initContainers"], *spec["containers"])
    }

    assert mounted == {"agenttype-sidecar": private, "agenttype-inject": set(), "agent": set()}


def test_an_api_key_lies_in_a_folder_named_as_its_backend():
    backend = an_external_backend("shared", credentialRef={"name": "key", "key": "token"})
    spec = pod_of(agent_objects(an_agent_type(), backend))

    [volume] = [volume for volume in spec["volumes"] if volume["name"] == keys.VOLUME_CREDENTIALS]

    secret = {"name": "key", "items": [{"key": "token", "path": "backends/shared/key"}]}
    assert volume["projected"]["sources"] == [{"secret": secret}]


def tokens_of(settings):
    around = Neighbours({}, {"shared": an_external_backend("shared")}, {})
    objects = {body["kind"]: body for body in plan.agent_plan(an_agent_type(), around, settings).objects}
    [volume] = [volume for volume in pod_of(objects)["volumes"] if volume["name"] == keys.VOLUME_TOKEN]
    return [source["serviceAccountToken"]["audience"] for source in volume["projected"]["sources"]]


def test_a_token_for_the_store_lies_beside_the_gate_s_where_there_is_a_store():
    assert tokens_of(SETTINGS) == ["agenttype.dev/gate"]
    assert tokens_of(dataclasses.replace(SETTINGS, nats_url="nats://store:4222")) == [
        "agenttype.dev/gate",
        "agenttype.dev/nats",
    ]


def test_a_stopped_agent_has_no_replicas_and_is_otherwise_the_same():
    around = Neighbours({}, {"shared": an_external_backend("shared")}, {})
    running, stopped = (
        {body["kind"]: body["spec"] for body in plan.agent_plan(AGENT, around, SETTINGS, stopped=stop).objects[2:3]}[
            "Deployment"
        ]
        for stop in (False, True)
    )

    assert stopped == {**running, "replicas": 0}


def test_credentials_and_authorities_of_fallbacks_and_tools_lie_beside_the_backend_s():
    agent = an_agent_type(
        models=[{"match": ["*"], "backendRef": {"name": "one"}, "fallback": [{"backendRef": {"name": "two"}}]}],
        tools=[{"name": "crm", "mcp": {"url": "http://crm"}, "credentialRef": {"name": "crm", "key": "t"}}],
    )
    one = an_external_backend("one", caRef={"name": "pki", "key": "ca"})
    two = an_external_backend("two", credentialRef={"name": "key", "key": "token"})

    [volume] = [
        volume
        for volume in pod_of(agent_objects(agent, one, two))["volumes"]
        if volume["name"] == keys.VOLUME_CREDENTIALS
    ]

    assert [source["secret"]["items"][0]["path"] for source in volume["projected"]["sources"]] == [
        "backends/one/ca.pem",
        "backends/two/key",
        "tools/crm/credential",
    ]


def test_a_limit_that_pods_share_needs_a_store():
    agent = an_agent_type(budget={"limits": [a_limit(window="Day", scope="AgentType")]})
    around = Neighbours({}, {"shared": an_external_backend("shared")}, {})

    with pytest.raises(compiler.Unresolved, match=r"nats\.enabled=true"):
        plan.agent_plan(agent, around, SETTINGS)

    found = plan.agent_plan(agent, around, dataclasses.replace(SETTINGS, nats_url="nats://store:4222"))
    assert [limit.account for limit in found.limits] == ["default.agent.green.run"]


def test_an_agent_s_calls_stay_at_one_replica_of_a_backend():
    spec = backend_objects()["Service"]["spec"]

    assert spec["sessionAffinity"] == "ClientIP"
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_the_agent_gets_no_token_of_its_pod():
    spec = pod_of(agent_objects())

    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert agent_objects()["ServiceAccount"]["automountServiceAccountToken"] is False


def test_restricted_defaults_fill_only_what_the_user_left_open():
    said = {"capabilities": {"add": ["CHOWN"]}, "runAsUser": 0}

    filled = container(pod_of(agent_objects(written_agent(securityContext=said))), "agent")["securityContext"]
    default = container(pod_of(agent_objects()), "agent")["securityContext"]

    assert filled == {**said, "allowPrivilegeEscalation": False}
    assert default == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_a_capability_that_implies_escalation_gets_no_contradicting_default():
    said = {"capabilities": {"add": ["SYS_ADMIN"]}}

    assert container(pod_of(agent_objects(written_agent(securityContext=said))), "agent")["securityContext"] == said


def test_a_pod_security_context_is_kept_and_seccomp_added():
    spec = pod_of(agent_objects(an_agent_type(template=pod(securityContext={"runAsUser": 7}))))

    assert spec["securityContext"] == {"runAsUser": 7, "seccompProfile": {"type": "RuntimeDefault"}}
    assert "fsGroup" not in pod_of(agent_objects())["securityContext"]


def test_our_containers_run_as_different_users_that_are_not_root():
    spec = pod_of(agent_objects())
    users = [
        container(spec, name)["securityContext"]["runAsUser"] for name in ("agenttype-sidecar", "agenttype-inject")
    ]

    assert users == [names.sidecar_uid(""), names.INJECT_UID]


@pytest.mark.parametrize(
    ("interface", "written", "probe"),
    [
        pytest.param({"port": 8080}, {}, {"tcpSocket": {"port": 8080}, "periodSeconds": 5}, id="HTTP"),
        pytest.param(
            {"port": 8080},
            {"readinessProbe": {"exec": {"command": ["x"]}}},
            {"exec": {"command": ["x"]}},
            id="the user's own",
        ),
        pytest.param({"port": 8080, "protocol": "None"}, {}, None, id="serves nothing"),
        pytest.param(None, {}, None, id="no interface"),
    ],
)
def test_an_agent_that_serves_is_ready_when_its_port_answers(interface, written, probe):
    agent = an_agent_type(interface=interface, template=pod(agent_container(**written)))

    assert container(pod_of(agent_objects(agent)), "agent").get("readinessProbe") == probe


def test_only_an_agent_that_serves_has_a_service():
    served = agent_objects(an_agent_type(interface={"port": 8080}))

    assert served["Service"]["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]
    assert "Service" not in agent_objects()


def test_a_policy_change_leaves_the_pod_template_as_it_was():
    before = agent_objects()
    after = agent_objects(an_agent_type(budget={"limits": [a_limit("5")]}))

    assert before["Deployment"] == after["Deployment"]
    assert before["ConfigMap"] != after["ConfigMap"]


def test_labels_of_the_user_are_kept_and_ours_win():
    template = {"metadata": {"labels": {"team": "a", keys.LABEL_MANAGED_BY: "Helm"}}, **pod()}

    labels = agent_objects(an_agent_type(template=template))["Deployment"]["spec"]["template"]["metadata"]["labels"]

    assert labels == {
        "team": "a",
        keys.LABEL_MANAGED_BY: keys.MANAGED_BY,
        keys.LABEL_AGENT_TYPE: "green",
        keys.LABEL_COMPONENT: "agent",
    }


def test_everything_is_owned_and_sealed():
    for body in (*agent_objects().values(), *backend_objects().values()):
        assert body["metadata"]["ownerReferences"][0]["controller"] is True
        assert keys.ANNOTATION_APPLIED in body["metadata"]["annotations"]


def shuffled(value, order):
    if isinstance(value, dict):
        names_ = sorted(value, key=lambda name: hash((name, order)))
        return {name: shuffled(value[name], order) for name in names_}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


@given(st.integers())
def test_the_same_objects_come_whatever_the_order_of_members(order):
    manifest = agent_manifest(interface={"port": 80}, budget={"limits": [a_limit()]})
    agents = [v1alpha1.AgentType.model_validate(found) for found in (manifest, shuffled(manifest, order))]
    backends = [
        v1alpha1.ModelBackend.model_validate(found)
        for found in (backend_manifest(), shuffled(backend_manifest(), order))
    ]

    first, second = ({k: metadata.text(b) for k, b in agent_objects(agent).items()} for agent in agents)
    third, fourth = ({k: metadata.text(b) for k, b in backend_objects(backend).items()} for backend in backends)

    assert first == second
    assert third == fourth


@given(st.permutations(["a", "b", "c"]))
def test_a_gate_s_document_does_not_depend_on_the_order_of_agents(order):
    def document(listed):
        agents = [an_agent_type(name) for name in listed]
        adapters = [an_adapter(name) for name in listed]
        return backend_objects(agents=agents, adapters=adapters)["ConfigMap"]["data"]

    assert document(order) == document(["a", "b", "c"])


def test_an_unresolved_agent_has_no_plan():
    with pytest.raises(compiler.Unresolved):
        plan.agent_plan(an_agent_type(), Neighbours({}, {}, {}), SETTINGS)


def test_an_external_backend_has_no_children():
    assert plan.backend_plan(an_external_backend(), Neighbours({}, {}, {}), SETTINGS).objects == ()


def test_the_engine_listens_on_loopback_and_serves_its_name():
    arguments = container(pod_of(backend_objects()), "engine")["args"]
    pairs = dict(itertools.pairwise(arguments))

    assert {name: pairs[name] for name in ("--host", "--port", "--served-model-name", "--max-model-len")} == {
        "--host": "127.0.0.1",
        "--port": "8000",
        "--served-model-name": "shared",
        "--max-model-len": "2048",
    }


def test_the_engine_holds_all_adapters_and_never_more_than_32_slots():
    many = a_backend(lora={"maxAdapters": 100, "maxRank": 8, "volume": "adapters"})
    arguments = container(pod_of(backend_objects(many)), "engine")["args"]
    pairs = dict(itertools.pairwise(arguments))

    assert (pairs["--max-loras"], pairs["--max-cpu-loras"], pairs["--max-lora-rank"]) == ("32", "100", "8")


def test_an_engine_without_adapters_neither_asks_for_nor_mounts_any():
    plain = a_backend(lora=None)
    spec = pod_of(backend_objects(plain))

    assert "--enable-lora" not in container(spec, "engine")["args"]
    assert keys.VOLUME_ADAPTERS not in {volume["name"] for volume in spec["volumes"]}
    assert [mount["name"] for mount in container(spec, "agenttype-gate")["volumeMounts"]] == [
        keys.VOLUME_POLICY,
        keys.VOLUME_API_TOKEN,
    ]


def test_the_user_s_environment_wins_except_where_the_gate_relies_on_it():
    env = [{"name": "HOME", "value": "/home/x"}, {"name": "VLLM_PLUGINS", "value": "evil"}]
    template = {
        "spec": {"containers": [{"name": "engine", "env": env}], "volumes": [{"name": "adapters", "emptyDir": {}}]}
    }

    found = {
        e["name"]: e["value"] for e in container(pod_of(backend_objects(a_backend(template=template))), "engine")["env"]
    }

    assert (found["HOME"], found["VLLM_PLUGINS"], found["VLLM_ALLOW_RUNTIME_LORA_UPDATING"]) == ("/home/x", "", "1")


def test_the_gate_alone_holds_a_token_for_the_api_server():
    spec = pod_of(backend_objects())
    holders = [
        found["name"]
        for found in spec["containers"]
        if keys.VOLUME_API_TOKEN in {mount["name"] for mount in found["volumeMounts"]}
    ]

    assert holders == ["agenttype-gate"]
    assert spec["automountServiceAccountToken"] is False


def test_the_engine_cannot_write_the_adapters_that_the_gate_checked():
    engine = container(pod_of(backend_objects()), "engine")

    assert {"name": keys.VOLUME_ADAPTERS, "mountPath": keys.ADAPTERS_DIR, "readOnly": True} in engine["volumeMounts"]


MOUNTED = {
    "spec": {
        "containers": [{"name": "engine", "volumeMounts": [{"name": "models", "mountPath": "/models"}]}],
        "volumes": [{"name": "adapters", "emptyDir": {}}, {"name": "models", "emptyDir": {}}],
    }
}


def test_the_gate_reads_the_base_model_s_shapes_where_its_folder_is_mounted():
    gate = container(pod_of(backend_objects(a_backend(model="/models/base", template=MOUNTED))), "agenttype-gate")

    assert gate["args"] == ["--base-config", "/models/base/config.json"]
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in gate["volumeMounts"]


def test_the_gate_does_without_shapes_where_the_engine_downloads_the_model():
    gate = container(pod_of(backend_objects(a_backend(model="acme/base", template=MOUNTED))), "agenttype-gate")

    assert "args" not in gate


def test_the_engine_waits_for_the_gate_before_it_stops():
    engine = container(pod_of(backend_objects(a_backend())), "engine")

    assert "15021" in engine["lifecycle"]["preStop"]["exec"]["command"][-1]


def test_only_agents_of_the_namespace_reach_the_gate():
    calls, control = backend_objects()["NetworkPolicy"]["spec"]["ingress"]

    assert calls["ports"] == [{"port": keys.PORT_GATE, "protocol": "TCP"}]
    assert calls["from"] == [
        {"podSelector": {"matchExpressions": [{"key": keys.LABEL_AGENT_TYPE, "operator": "Exists"}]}}
    ]
    assert control["ports"] == [{"port": keys.PORT_CONTROL, "protocol": "TCP"}]


def test_a_gate_s_document_lists_who_may_call_what():
    agent = an_agent_type(models=[{"match": ["*"], "backendRef": {"name": "shared"}, "adapterRef": {"name": "green"}}])

    document = json.loads(
        backend_objects(agents=[agent], adapters=[an_adapter()])["ConfigMap"]["data"][keys.GATE_POLICY_FILE]
    )

    assert document["callers"] == [
        {"serviceAccount": "default/green", "agentType": "default/green", "models": ["green@abababababab"]}
    ]
