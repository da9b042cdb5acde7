"""The chart: linted, rendered for every set of values, and taken by a real API server."""

import subprocess

import clusters
import pytest
import yaml

CHART = clusters.ROOT / "charts/agenttype"
VALUE_SETS = {
    "as it comes": [],
    "a GPU": ["--values", CHART / "values-gpu.yaml"],
    "a CPU": ["--values", CHART / "values-cpu.yaml"],
    "chosen namespaces": ["--set", "operator.namespaces={default}"],
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


def test_the_operator_gets_no_right_over_secrets():
    roles = [found for found in yaml.safe_load_all(rendered([])) if found and found["kind"].endswith("Role")]
    rules = [rule for role in roles for rule in role["rules"]]

    assert [rule for rule in rules if {"secrets", "*"} & {*rule["resources"], *rule["verbs"]}] == []
