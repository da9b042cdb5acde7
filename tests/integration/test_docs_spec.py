"""What docs/spec shows of kubectl, on a real API server with the operator.

A comment above a block names the situation that it shows; what varies is in `transcripts.VARIES`.
"""

import json
import os
import re

import pytest
from agenttype_api import keys
from support import clusters, kinds, pages, transcripts
from support.fake_node import FakeNode
from support.operators import operator, prepared
from support.waiting import until

BLOCK = re.compile(r"<!-- shows: ([^\n]*) -->\n(```console\n.*?```)", re.DOTALL)
SHOWN = [
    (page, situation, block)
    for page in sorted((pages.ROOT / "docs/spec").glob("*.md"))
    for situation, block in BLOCK.findall(page.read_text())
]
AGENT = f"{keys.LABEL_AGENT_TYPE}=green"
BACKEND = f"{keys.LABEL_MODEL_BACKEND}=shared"


@pytest.fixture(scope="module")
def control():
    with prepared() as found, operator(found, "operator-0"):
        yield found


@pytest.fixture(scope="module")
def node(control):
    found = FakeNode(control)
    yield found
    found.close()


@pytest.fixture(scope="module")
def namespaces(control, node):
    """Make a namespace for each situation, once, and wait until the operator has reported it."""
    made = {}

    def of(situation):
        if situation not in made:
            made[situation] = control.namespace()
            SITUATIONS[situation](control, node, made[situation])
        return made[situation]

    return of


def an_agent(namespace, **spec):
    containers = [{"name": "agent", "image": "acme/log-reader:1.4"}]
    models = [{"match": ["gpt-4o*"], "backendRef": {"name": "shared"}}]
    template = {"spec": {"containers": containers}}
    return kinds.agent_manifest(namespace=namespace, **{"template": template, "models": models} | spec)


def backend_not_found(control, node, namespace):
    del node
    control.apply(an_agent(namespace))
    control.await_reason(namespace, "agenttype", "green", "ResolvedRefs", "BackendNotFound")


def name_conflict(control, node, namespace):
    del node
    control("create", "configmap", "green-policy", "-n", namespace)
    control.apply(kinds.external_manifest("shared", namespace), an_agent(namespace))
    control.await_reason(namespace, "agenttype", "green", "Programmed", "NameConflict")


def budget_exhausted(control, node, namespace):
    limits = [{"name": "run", "resource": "Tokens", "max": "200000"}]
    control.apply(kinds.external_manifest("shared", namespace), an_agent(namespace, budget={"limits": limits}))
    until(lambda: control.get(namespace, "configmap", "green-policy"), lambda: "no policy")
    wanted = control.get(namespace, "agenttype", "green")["status"]["policyHash"]
    report = {"policyHash": wanted, "sequence": 1, "exhausted": ["run"]}
    node.start(namespace, AGENT, keys.POLICY_STATUS_PATH, report)
    control.await_reason(namespace, "agenttype", "green", "BudgetAvailable", "Exhausted")


def pod_failing(control, node, namespace):
    del node
    control.apply(kinds.external_manifest("shared", namespace), an_agent(namespace))
    until(lambda: control("get", "pods", "-n", namespace, "-l", AGENT, "-o", "name"), lambda: "no pod")
    pod = control("get", "pods", "-n", namespace, "-l", AGENT, "-o", "jsonpath={.items[0].metadata.name}")
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}, "ready": False, "restartCount": 0}
    status = {"containerStatuses": [{"name": "agent", "image": "acme/log-reader:1.4", "imageID": "", **waiting}]}
    patch = ["patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge"]
    control(*patch, "-p", json.dumps({"status": status}))
    control.await_reason(namespace, "agenttype", "green", "Available", "PodFailing")


def engine_pending(control, node, namespace):
    del node
    control.apply(kinds.backend_manifest(namespace=namespace, model="Qwen/Qwen3-8B"))
    control.await_reason(namespace, "modelbackend", "shared", "Available", "Progressing")
    control.await_reason(namespace, "modelbackend", "shared", "Ready", "NotReady")


def digest_mismatch(control, node, namespace):
    control.apply(kinds.backend_manifest(namespace=namespace), kinds.adapter_manifest(namespace=namespace))
    control.await_reason(namespace, "loraadapter", "green", "Loaded", "NotProbed")
    served = control.get(namespace, "loraadapter", "green")["status"]["servedName"]
    found = f"the files have digest sha256:{'c0' * 32}, not {kinds.DIGEST}; upload them again or change the digest"
    told = {"name": "green", "servedName": served, "state": "DigestMismatch", "message": found}
    report = {"policyHash": "0" * 16, "engineReady": True, "adapters": [told]}
    node.start(namespace, BACKEND, keys.GATE_STATUS_PATH, report)
    control.await_reason(namespace, "loraadapter", "green", "Loaded", "DigestMismatch")


def shared_budget(control, node, namespace):
    del node
    limits = [{"name": "month", "resource": "Cost", "max": "500", "window": "Month"}]
    budget = {"budgetRef": {"name": "team-a"}}
    control.apply(
        kinds.budget_manifest("team-a", namespace, limits=limits),
        *(kinds.agent_manifest(name, namespace, budget=budget) for name in ("green", "red")),
    )
    control.await_reason(namespace, "agentbudget", "team-a", "Ready", "Ready")
    sharing = ["-o", "jsonpath={.status.agentTypes}"]
    until(lambda: control("get", "agentbudget", "team-a", "-n", namespace, *sharing) == "2", lambda: "not both")


SITUATIONS = {
    "backend not found": backend_not_found,
    "name conflict": name_conflict,
    "budget exhausted": budget_exhausted,
    "pod failing": pod_failing,
    "engine pending": engine_pending,
    "digest mismatch": digest_mismatch,
    "shared budget": shared_budget,
}


@pytest.mark.parametrize(
    ("page", "situation", "block"), SHOWN, ids=[f"{page.stem}-{situation}" for page, situation, _ in SHOWN]
)
def test_kubectl_prints_what_the_page_shows(control, namespaces, tmp_path, page, situation, block):
    del page
    namespace = namespaces(situation)
    config = tmp_path / "kubeconfig"
    config.write_text(control.kubeconfig.read_text())
    clusters.kubectl(config, "config", "set-context", "--current", f"--namespace={namespace}")
    path = f"{clusters.tool('kubectl').parent}:{os.environ['PATH']}"
    told = transcripts.read(block)

    seen = transcripts.run(told, {**os.environ, "KUBECONFIG": str(config), "PATH": path})

    assert told
    assert transcripts.differences(told, seen) == []
