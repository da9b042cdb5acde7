"""The chart: linted, rendered for every set of values, and taken by a real API server."""

import json
import shlex
import shutil
import subprocess

import pytest
import yaml
from agenttype_api import definitions
from agenttype_operator.kube import crd_drift
from agenttype_operator.kube.crd_check import COMMAND
from support import clusters

CHART = clusters.ROOT / "charts/agenttype"
VALUE_SETS = {
    "as it comes": [],
    "a GPU": ["--values", CHART / "values-gpu.yaml"],
    "a CPU": ["--values", CHART / "values-cpu.yaml"],
    "chosen namespaces": ["--set", "operator.namespaces={default}"],
    "no store": ["--set", "nats.enabled=false"],
    "a store without a volume": ["--set", "nats.storage.size="],
    "a store of one's own": ["--set", "nats.enabled=false", "--set", "nats.url=tls://nats.example.test:4222"],
    "an image prefix and pull secrets": [
        *("--set", "images.prefix=registry.example.test/x/"),
        *("--set", "images.pullSecrets[0].name=pull"),
    ],
}
MONITORED = ["--set", "metrics.serviceMonitor.enabled=true", "--set", "metrics.serviceMonitor.labels.team=a"]
REFUSED = {
    "an unknown value": ["--set", "backend.imagee=x"],
    "a rank that no engine takes": ["--set", "backend.lora.maxRank=7"],
    "a pull policy that is none": ["--set", "images.pullPolicy=Sometimes"],
    "two stores": ["--set", "nats.url=nats://elsewhere:4222"],
    "a store of another kind": ["--set", "nats.enabled=false", "--set", "nats.url=redis://elsewhere:6379"],
    "adapters without a volume": ["--set", "backend.enabled=true", "--set", "backend.lora.enabled=true"],
}


def helm(*arguments):
    return subprocess.run([clusters.tool("helm"), *arguments], capture_output=True, text=True, timeout=120, check=False)


def rendered(values):
    done = helm("template", "agenttype", CHART, "--namespace", "default", *values)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_chart_is_linted_without_a_warning():
    done = helm("lint", "--strict", CHART)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS.keys())
def test_every_set_of_values_is_taken_by_a_real_api_server(kubeconfig_with_crds, values):
    kubectl = [clusters.tool("kubectl"), "--kubeconfig", kubeconfig_with_crds]

    done = subprocess.run(
        [*kubectl, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-"],
        input=rendered(values),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("values", REFUSED.values(), ids=REFUSED.keys())
def test_values_that_make_no_sense_are_refused(values):
    assert helm("template", "agenttype", CHART, *values).returncode != 0


def test_monitoring_finds_the_operator_and_every_pod_that_it_made():
    kinds = [found["kind"] for found in yaml.safe_load_all(rendered(MONITORED)) if found]

    assert {"ServiceMonitor", "PodMonitor"} <= set(kinds)


def test_alerts_are_made_on_request():
    asked = ["--set", "metrics.prometheusRule.enabled=true"]
    [rule] = [found for found in objects(asked) if found["kind"] == "PrometheusRule"]

    assert {alert["alert"] for alert in rule["spec"]["groups"][0]["rules"]} == {"AgentBudgetOverspent", "AgentStopped"}
    assert "PrometheusRule" not in {found["kind"] for found in objects([])}


def objects(values):
    return [found for found in yaml.safe_load_all(rendered(values)) if found]


def one(kind, component, values=()):
    [found] = [
        found
        for found in objects(list(values))
        if found["kind"] == kind and found["metadata"]["labels"].get("app.kubernetes.io/component") == component
    ]
    return found


def variable(name, values):
    [container] = one("Deployment", "operator", values)["spec"]["template"]["spec"]["containers"]
    return {found["name"]: found.get("value") for found in container["env"]}.get(name)


def nats_url(values):
    return variable("AGENTTYPE_OPERATOR_NATS_URL", values)


def test_the_operator_tells_sidecars_where_shared_limits_are_counted():
    assert nats_url([]) == "nats://agenttype-nats.default.svc:4222"
    assert nats_url(VALUE_SETS["a store of one's own"]) == "tls://nats.example.test:4222"
    assert nats_url(VALUE_SETS["no store"]) == ""


def test_the_operator_tells_sidecars_who_vouches_for_a_store_of_one_s_own():
    elsewhere = VALUE_SETS["a store of one's own"]

    assert variable("AGENTTYPE_OPERATOR_NATS_CA", elsewhere) is None
    assert variable("AGENTTYPE_OPERATOR_NATS_CA", [*elsewhere, "--set", "nats.caBundle=a\nb"]) == "a\nb"


def test_the_store_lies_on_a_volume_unless_told_otherwise():
    kept, lost = (one("StatefulSet", "nats", values)["spec"] for values in ([], ["--set", "nats.storage.size="]))

    assert kept["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert "volumeClaimTemplates" not in lost
    assert {"name": "data", "emptyDir": {}} in lost["template"]["spec"]["volumes"]


def test_no_container_of_the_store_has_what_it_does_not_need():
    pod = one("StatefulSet", "nats")["spec"]["template"]["spec"]
    mounted = {
        container["name"]: {mount["name"] for mount in container["volumeMounts"]}
        for container in (*pod["initContainers"], *pod["containers"])
    }

    assert mounted == {
        "prepare": {"keys", "config"},
        "nats": {"config", "data"},
        "auth-callout": {"keys", "tmp", "api-token"},
    }
    assert pod["automountServiceAccountToken"] is False


def test_only_pods_of_agents_reach_the_store():
    [policy] = [found for found in objects([]) if found["kind"] == "NetworkPolicy"]
    [rule] = policy["spec"]["ingress"]

    assert rule["from"] == [
        {
            "podSelector": {"matchExpressions": [{"key": "agenttype.dev/agent-type", "operator": "Exists"}]},
            "namespaceSelector": {},
        }
    ]
    assert rule["ports"] == [{"port": 4222, "protocol": "TCP"}]


def test_the_operator_gets_no_right_over_secrets():
    roles = [found for found in yaml.safe_load_all(rendered([])) if found and found["kind"].endswith("Role")]
    rules = [rule for role in roles for rule in role["rules"]]

    assert [rule for rule in rules if {"secrets", "*"} & {*rule["resources"], *rule["verbs"]}] == []


@pytest.mark.parametrize(("version", "taken"), [("1.29.15", False), ("1.30.0", True), ("1.31.2-gke.1", True)])
def test_the_chart_asks_for_the_kubernetes_that_it_needs(version, taken):
    assert (helm("template", "agenttype", CHART, "--kube-version", version).returncode == 0) is taken


@pytest.fixture
def previous_chart(tmp_path):
    """The chart as one before it, whose AgentType had no spec.description and shorter names of tools."""
    copied = tmp_path / "agenttype"
    shutil.copytree(CHART, copied)
    path = copied / "crds/agenttypes.yaml"
    definition = yaml.safe_load(path.read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    del spec["description"]
    spec["tools"]["maxItems"] -= 1
    path.write_text(yaml.safe_dump(definition))
    return copied


def test_an_upgrade_takes_the_chart_and_then_the_definitions(previous_chart):
    with clusters.control_plane() as kubeconfig:
        release = ("agenttype", "--kubeconfig", kubeconfig, "--namespace", "agenttype-system")
        done = helm("install", *release[:1], previous_chart, *release[1:], "--create-namespace")
        assert done.returncode == 0, done.stderr

        done = helm("upgrade", *release[:1], CHART, *release[1:])

        assert done.returncode == 0, done.stderr
        assert differences(kubeconfig) == {"agenttypes.agenttype.dev": "spec.description"}, "Helm upgrades no CRDs"

        _, *arguments = shlex.split(COMMAND)
        clusters.kubectl(kubeconfig, *[str(clusters.ROOT / part) if "/" in part else part for part in arguments])

        assert differences(kubeconfig) == {}


def differences(kubeconfig):
    """What the served definitions lack: name → field."""
    found = {}
    for ours in definitions.custom_resource_definitions():
        name = ours["metadata"]["name"]
        served = json.loads(clusters.kubectl(kubeconfig, "get", "crd", name, "--output=json"))
        if told := crd_drift.difference(served, ours):
            found[name] = told
    return found
