"""What the API server itself refuses, and with which words: the user reads them in `kubectl apply`."""

import json
import subprocess
from typing import Any

import clusters
import pytest
from kinds import a_limit, adapter_manifest, agent_container, agent_manifest, backend_manifest, external_manifest, pod

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown field", agent_manifest(budgett={}), ".spec.budgett: field not declared"),
    (
        "an unknown field of a pod",
        agent_manifest(template=pod(agent_container(imagePullPolicyy="x"))),
        "imagePullPolicyy: field not declared",
    ),
    ("no agent container", agent_manifest(template=pod({"name": "bot", "image": "i"})), 'one container named "agent"'),
    ("two agent containers", agent_manifest(template=pod(agent_container(), agent_container())), "agent"),
    (
        "a reserved container name",
        agent_manifest(template=pod(agent_container(), {"name": "agenttype-x", "image": "i"})),
        'container names that start with "agenttype-" are reserved',
    ),
    (
        "a reserved init container name",
        agent_manifest(template=pod(initContainers=[{"name": "agenttype-sidecar", "image": "i"}])),
        'container names that start with "agenttype-" are reserved',
    ),
    (
        "a reserved volume name",
        agent_manifest(template=pod(volumes=[{"name": "agenttype-token", "emptyDir": {}}])),
        'volume names that start with "agenttype-" are reserved',
    ),
    (
        "a reserved port",
        agent_manifest(template=pod(agent_container(ports=[{"containerPort": 15001}]))),
        "are reserved for the sidecar",
    ),
    (
        "a reserved variable",
        agent_manifest(template=pod(agent_container(env=[{"name": "AGENTTYPE_NAME", "value": "x"}]))),
        'environment variables that start with "AGENTTYPE_" are reserved',
    ),
    (
        "a reserved label",
        agent_manifest(template={"metadata": {"labels": {"agenttype.dev/x": "y"}}, **pod()}),
        'labels that start with "agenttype.dev/" are reserved',
    ),
    (
        "a mount over the wrapper",
        agent_manifest(
            template=pod(
                agent_container(volumeMounts=[{"name": "v", "mountPath": "/opt/agenttype/python"}]),
                volumes=[{"name": "v", "emptyDir": {}}],
            )
        ),
        "nothing may be mounted at /opt/agenttype",
    ),
    (
        "the sidecar's own kind of token",
        agent_manifest(
            template=pod(
                volumes=[
                    {
                        "name": "t",
                        "projected": {
                            "sources": [{"serviceAccountToken": {"audience": "agenttype.dev/gate", "path": "t"}}]
                        },
                    }
                ]
            )
        ),
        "only the sidecar may call the model server",
    ),
    (
        "a privileged container",
        agent_manifest(template=pod(agent_container(securityContext={"privileged": True}))),
        "privileged containers are refused",
    ),
    ("the host's network", agent_manifest(template=pod(hostNetwork=True)), "hostNetwork must not be true"),
    (
        "a shared process namespace",
        agent_manifest(template=pod(shareProcessNamespace=True)),
        "shareProcessNamespace must not be true",
    ),
    (
        "a mounted API token",
        agent_manifest(template=pod(automountServiceAccountToken=True)),
        "automountServiceAccountToken must not be true",
    ),
    (
        "another ServiceAccount",
        agent_manifest(template=pod(serviceAccountName="x")),
        "serviceAccountName must be empty",
    ),
    ("a Job's restart policy", agent_manifest(template=pod(restartPolicy="Never")), "restartPolicy must be Always"),
    ("no models", agent_manifest(models=[]), "should have at least 1 items"),
    (
        "an empty match list",
        agent_manifest(models=[{"match": [], "backendRef": {"name": "shared"}}]),
        "should have at least 1 items",
    ),
    ("a negative limit", agent_manifest(budget={"limits": [a_limit("-1")]}), "max must be a whole number of 0 or more"),
    (
        "a limit in words",
        agent_manifest(budget={"limits": [a_limit("many")]}),
        "max must be a whole number of 0 or more",
    ),
    ("a limit of 1e9", agent_manifest(budget={"limits": [a_limit("1e9")]}), "max must be a whole number of 0 or more"),
    ("a limit past 64 bits", agent_manifest(budget={"limits": [a_limit("9" * 19)]}), "may not be more than 18"),
    ("an unknown resource", agent_manifest(budget={"limits": [a_limit(resource="Coins")]}), "supported values"),
    ("two limits of one name", agent_manifest(budget={"limits": [a_limit(), a_limit()]}), "duplicate entries"),
    ("negative replicas", agent_manifest(replicas=-1), "greater than or equal to 0"),
    ("a name that is too long", agent_manifest(name="a" * 53), "at most 52 lower-case letters"),
    ("a name with a dot", agent_manifest(name="a.b"), "at most 52 lower-case letters"),
    (
        "a tool URL of another scheme",
        agent_manifest(tools=[{"name": "x", "mcp": {"url": "file:///etc"}}]),
        "should match",
    ),
    (
        "a tool URL with a password",
        agent_manifest(tools=[{"name": "x", "mcp": {"url": "http://a:b@tools/mcp"}}]),
        "should match",
    ),
    (
        "a backend of two kinds",
        {**backend_manifest(), "spec": {**backend_manifest()["spec"], **external_manifest()["spec"]}},
        "exactly one of spec.vllm and spec.external",
    ),
    ("a backend of no kind", {**backend_manifest(), "spec": {}}, "exactly one of spec.vllm and spec.external"),
    (
        "an adapter volume that is not there",
        backend_manifest(lora={"volume": "nowhere"}),
        "vllm.lora.volume must name a volume",
    ),
    (
        "a rank that no engine takes",
        backend_manifest(lora={"volume": "adapters", "maxRank": 7}),
        "maxRank must be one of",
    ),
    (
        "a second engine container",
        backend_manifest(
            template=pod({"name": "engine"}, {"name": "other"}, volumes=[{"name": "adapters", "emptyDir": {}}])
        ),
        'only one container, named "engine"',
    ),
    ("an absolute adapter path", adapter_manifest(path="/etc"), "must be a relative path"),
    ("an adapter path upwards", adapter_manifest(path="../x"), "must be a relative path"),
    ("a digest that is none", adapter_manifest(digest="sha256:abc"), "should match"),
]


def _apply(kubeconfig: str, manifest: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(clusters.tool("kubectl")),
            "--kubeconfig",
            kubeconfig,
            "apply",
            "--server-side",
            "--dry-run=server",
            "-f",
            "-",
        ],
        input=json.dumps(manifest),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("manifest", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_bad_manifest_is_refused_with_words_that_tell_the_fix(
    kubeconfig_with_crds: str, manifest: dict[str, Any], words: str
) -> None:
    answer = _apply(kubeconfig_with_crds, manifest)

    assert answer.returncode != 0, answer.stdout
    assert words in answer.stderr


GOOD = {
    "an agent": agent_manifest(),
    "an agent with everything": agent_manifest(
        description="d",
        replicas=2,
        interface={"port": 8080, "protocol": "HTTP"},
        injection={"wrapper": []},
        tools=[{"name": "crm", "mcp": {"url": "http://crm.tools:8080/mcp"}, "allow": ["lookup_*"]}],
        budget={"limits": [a_limit(), a_limit("0", "calls", resource="Requests")], "onLimit": "Reject"},
    ),
    "an agent without the wrapper": agent_manifest(
        template=pod(agent_container(env=[{"name": "AGENTTYPE_WRAPPER", "value": "off"}]))
    ),
    "a backend that we run": backend_manifest(),
    "an external backend": external_manifest(credentialRef={"name": "s", "key": "k"}),
    "an adapter": adapter_manifest(),
}


@pytest.mark.parametrize("manifest", GOOD.values(), ids=GOOD.keys())
def test_a_good_manifest_is_taken(kubeconfig_with_crds: str, manifest: dict[str, Any]) -> None:
    answer = _apply(kubeconfig_with_crds, manifest)

    assert answer.returncode == 0, answer.stderr
