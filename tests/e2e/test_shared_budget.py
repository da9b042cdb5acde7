"""Budgets that pods share, rules and stops on real pods: the chart's store counts, a stand-in answers for models."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support import clusters, kinds, waiting
from support.programs.simulators import Simulator, simulator

from examples.demo import install, places
from examples.demo.kubectl import CommandError, Kubectl

# The first story waits for images and the chart.
pytestmark = pytest.mark.timeout(1500)

SECONDS = 120
until = functools.partial(waiting.until, within=SECONDS, ignoring=(CommandError, KeyError, IndexError))
#: The node, as its pods see it: the stand-in listens there.
NODE = "172.30.0.1"
AGENT_LABEL = "agenttype.dev/agent-type"

#: Runs in the agent's container: sends so many calls, prints each status.
CALLS = """
import json, sys, urllib.error, urllib.request
body = json.dumps({"model": "gpt-4o", "max_tokens": 4, "messages": [{"role": "user", "content": sys.argv[2]}]}).encode()
def call():
    request = urllib.request.Request("http://127.0.0.1:15001/v1/chat/completions", body,
                                     {"content-type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps([call() for _ in range(int(sys.argv[1]))]))
"""

#: Runs in the agent's container: looks for a token, and tries the store with everything it has.
STORE = """
import json, os, pathlib, socket
def tried(token):
    with socket.create_connection(("agenttype-nats.agenttype-system.svc", 4222), timeout=10) as connection:
        file = connection.makefile("rwb")
        file.readline()
        file.write(f"CONNECT {json.dumps({'auth_token': token, 'verbose': False})}\\r\\nPING\\r\\n".encode())
        file.flush()
        return file.readline().decode().strip()
found = [str(path) for root in ("/var/run", "/run", "/etc/agenttype", "/var/lib/agenttype", "/opt/agenttype")
         for path in pathlib.Path(root).rglob("*token*")]
print(json.dumps({"tokens": found, "answers": sorted({tried(value) for value in ("", *os.environ.values())})}))
"""


@pytest.fixture(scope="module")
def models() -> Iterator[Simulator]:
    """A stand-in for a model server, reachable from pods."""
    with simulator(host="0.0.0.0") as found:
        yield found


@pytest.fixture(scope="module")
def cluster(models: Simulator) -> Iterator[Kubectl]:
    """The way to a cluster with the chart, its store, and a backend that the stand-in answers for."""
    with clusters.embedded_cluster() as kubeconfig:
        place = places.Embedded(kubeconfig.parent)
        kubectl = place.kubectl()
        tag = install.platform_images(place)
        clusters.run("image", "load", "base", "--dir", str(place.folder))
        kubectl.apply(install.EXAMPLES / "kubernetes/namespace.yaml")
        install.platform(place, kubectl, tag, {})
        url = f"http://{NODE}:{models.port}"
        apply(kubectl, kinds.external_manifest("models", "demo", url=url))
        yield kubectl


def apply(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=json.dumps(manifest))


def agent(name: str, **spec: Any) -> dict[str, Any]:
    """An agent that waits for what a test runs in its container."""
    container = {
        "name": "agent",
        "image": "localhost/agenttype-base:1",
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "securityContext": {"runAsUser": 10001},
    }
    models = [{"match": ["*"], "backendRef": {"name": "models"}, "model": "base"}]
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    return kinds.agent_manifest(name, "demo", template=template, models=models, **spec)


def calls(kubectl: Kubectl, pod: str, number: int, text: str = "hello") -> list[int]:
    """Send calls from inside a pod's agent; return their statuses."""
    found: list[int] = json.loads(
        kubectl("exec", pod, "--container=agent", "--", "python3", "-c", CALLS, str(number), text)
    )
    return found


def condition_of(kubectl: Kubectl, name: str, kind: str = "BudgetAvailable") -> dict[str, Any]:
    return next(found for found in kubectl.get("agenttype", name)["status"]["conditions"] if found["type"] == kind)


def ready(kubectl: Kubectl, name: str, pods: int) -> list[str]:
    """Wait until an agent is ready with so many pods; return their names."""
    until(lambda: len(kubectl.pods(f"{AGENT_LABEL}={name}")) == pods, f"{name} has {pods} pods")
    kubectl.wait("Ready", f"agenttype/{name}", seconds=SECONDS)
    return kubectl.pods(f"{AGENT_LABEL}={name}")


def test_two_pods_share_one_limit_to_the_last_call(cluster: Kubectl, models: Simulator) -> None:
    limit = kinds.a_limit("20", "calls", resource="Requests", window="Forever", scope="AgentType")
    apply(cluster, agent("pair", replicas=2, budget={"limits": [limit]}))
    one, two = ready(cluster, "pair", 2)

    statuses = [status for _ in range(3) for pod in (one, two) for status in calls(cluster, pod, 5)]

    assert (statuses.count(200), statuses.count(402)) == (20, 10)
    assert len(models.arrived("/v1/chat/completions")) == 20


def test_a_shared_limit_that_is_used_up_is_told_by_the_agent_type(cluster: Kubectl) -> None:
    found = until(lambda: _because(cluster, "pair", "Exhausted"), "the limit is told as used up")

    assert found["message"] == 'limit "calls" is used up: it never starts again; raise the limit'


def test_a_raised_shared_limit_reaches_both_pods(cluster: Kubectl) -> None:
    limit = kinds.a_limit("24", "calls", resource="Requests", window="Forever", scope="AgentType")
    apply(cluster, agent("pair", replicas=2, budget={"limits": [limit]}))
    until(lambda: _because(cluster, "pair", "WithinLimits"), "the limit is no longer used up")
    one, two = cluster.pods(f"{AGENT_LABEL}=pair")

    statuses = [status for pod in (one, two, one) for status in calls(cluster, pod, 3)]

    assert (statuses.count(200), statuses.count(402)) == (4, 5)


def test_the_store_s_books_outlive_the_pods_that_used_it(cluster: Kubectl) -> None:
    cluster("rollout", "restart", "deployment/pair")
    cluster("rollout", "status", "deployment/pair", f"--timeout={SECONDS}s")
    pod, _ = ready_pods(cluster, "pair", 2)

    assert calls(cluster, pod, 2) == [402, 402]


def ready_pods(kubectl: Kubectl, name: str, number: int) -> list[str]:
    """Wait until exactly so many pods of an agent are there; return their names."""
    until(lambda: len(kubectl.pods(f"{AGENT_LABEL}={name}")) == number, f"{name} has {number} pods")
    found = kubectl.pods(f"{AGENT_LABEL}={name}")
    kubectl.wait("Ready", *(f"pod/{pod}" for pod in found), seconds=SECONDS)
    return found


def test_the_agent_holds_nothing_that_the_store_accepts(cluster: Kubectl) -> None:
    [pod, *_] = cluster.pods(f"{AGENT_LABEL}=pair")

    found = json.loads(cluster("exec", pod, "--container=agent", "--", "python3", "-c", STORE))

    assert found == {"tokens": [], "answers": ["-ERR 'Authorization Violation'"]}


def _because(kubectl: Kubectl, name: str, reason: str) -> dict[str, Any] | None:
    found = condition_of(kubectl, name)
    return found if found["reason"] == reason else None


def test_a_violation_is_denied_and_becomes_an_event_without_what_was_found(cluster: Kubectl) -> None:
    rule = {"name": "no-keys", "appliesTo": ["LLMRequest"], "matches": "AKIA[0-9A-Z]{16}", "action": "Deny"}
    apply(cluster, agent("ruled", rules=[rule]))
    [pod] = ready(cluster, "ruled", 1)

    [refused] = calls(cluster, pod, 1, "the key is AKIAABCDEFGHIJKLMNOP")
    event = until(lambda: _violation(cluster, "ruled"), "the violation is an Event")

    assert refused in range(400, 500)
    assert calls(cluster, pod, 1) == [200]
    assert (event["type"], event["action"]) == ("Warning", "Deny")
    assert event["note"] == f'rule "no-keys" applied to LLMRequest "{event_subject(event)}" of pod "{pod}": Deny'
    assert "AKIA" not in json.dumps(event)


def _violation(kubectl: Kubectl, name: str) -> dict[str, Any] | None:
    events = kubectl.get("events.events.k8s.io")["items"]
    return next(
        (event for event in events if event["reason"] == "PolicyViolation" and event["regarding"]["name"] == name), None
    )


def event_subject(event: dict[str, Any]) -> str:
    """What a rule was applied to, as the note says it."""
    return str(event["note"]).split('"')[3]


def test_an_agent_that_is_stopped_comes_back_with_a_changed_spec(cluster: Kubectl) -> None:
    rule = {"name": "shell", "appliesTo": ["LLMRequest"], "matches": "rm -rf", "action": "StopAgent"}
    apply(cluster, agent("wild", rules=[rule]))
    [pod] = ready(cluster, "wild", 1)

    [refused] = calls(cluster, pod, 1, "rm -rf /")
    told = until(lambda: _because(cluster, "wild", "Stopped"), "the stop is told")
    until(lambda: cluster.pods(f"{AGENT_LABEL}=wild") == [], "no pod is left")

    assert refused in range(400, 500)
    assert "shell" in told["message"]
    assert cluster.get("agenttype", "wild")["spec"]["replicas"] == 1
    assert cluster.get("deployment", "wild")["spec"]["replicas"] == 0

    apply(cluster, agent("wild", rules=[rule], description="mended"))

    [pod] = ready(cluster, "wild", 1)
    assert calls(cluster, pod, 1) == [200]


def test_agents_of_one_namespace_share_a_budget(cluster: Kubectl) -> None:
    limit = kinds.a_limit("6", "calls", resource="Requests", window="Month")
    apply(cluster, kinds.budget_manifest("team", "demo", limits=[limit]))
    for name in ("left", "right"):
        apply(cluster, agent(name, budget={"budgetRef": {"name": "team"}}))
    pods = [ready(cluster, name, 1)[0] for name in ("left", "right")]

    statuses = [status for pod in pods for status in calls(cluster, pod, 5)]

    assert (statuses.count(200), statuses.count(402)) == (6, 4)
    assert cluster.get("agentbudget", "team")["status"]["agentTypes"] == 2
