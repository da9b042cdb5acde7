"""The user's stories on real pods with a real engine, in the order in which the demo tells them."""

import calendar
import functools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support import transcripts, waiting

from examples.demo import books, install, story
from examples.demo.kubectl import CommandError, Kubectl

# The first story waits for images, an engine and two agents.
pytestmark = pytest.mark.timeout(1800)

SECONDS = 120
until = functools.partial(waiting.until, within=SECONDS, ignoring=(CommandError, KeyError, IndexError))
#: How long the cluster is watched for writes at rest.
REST_SECONDS = 60

FROM_THE_AGENT = """
import json, pathlib, urllib.error, urllib.request, os
def status(url, headers={}):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
readable = []
for root in ("/var/run", "/run", "/etc/agenttype", "/var/lib/agenttype", "/opt/agenttype"):
    for path in pathlib.Path(root).rglob("*"):
        try:
            text = path.read_text(errors="replace") if path.is_file() and path.stat().st_size < 1_000_000 else ""
        except OSError:
            continue
        if text.count(".") >= 2 and text.startswith("ey"):
            readable.append(str(path))
gate = "http://shared-backend.demo/v1/models"
print(json.dumps({
    "bare": status(gate),
    "placeholder": status(gate, {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}),
    "every variable": sorted({status(gate, {"Authorization": "Bearer " + value})
                              for value in os.environ.values() if value.isprintable() and value.isascii()}),
    "token files": readable,
}))
"""


def budget(kubectl: Kubectl, agent: str) -> dict[str, Any]:
    """The first limit of an agent, as its sidecar reports it."""
    pod = kubectl.pods(f"{books.AGENT_LABEL}={agent}")[-1]
    report: dict[str, Any] = json.loads(kubectl.pod_text(pod, books.CONTROL_PORT, "/agenttype/v1/budget"))["limits"][0]
    return report


def condition_of(kubectl: Kubectl, what: str, name: str, kind: str) -> dict[str, Any]:
    """One condition of an object."""
    return next(found for found in kubectl.get(what, name)["status"]["conditions"] if found["type"] == kind)


def restarts(kubectl: Kubectl, agent: str) -> int:
    """Restarts of all containers of an agent's pod, the sidecar's included."""
    status = kubectl.get("pod", kubectl.pods(f"{books.AGENT_LABEL}={agent}")[-1])["status"]
    return sum(c["restartCount"] for c in (*status["containerStatuses"], *status["initContainerStatuses"]))


def end_process_of(kubectl: Kubectl, pod: str, container: str) -> None:
    """Kill the main process of a container with SIGKILL, from the node, where it has an ordinary pid."""
    status = kubectl.get("pod", pod)["status"]
    found = next(c for c in (*status["containerStatuses"], *status["initContainerStatuses"]) if c["name"] == container)
    identity = found["containerID"].rpartition("/")[2]
    processes = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cgroup")
        if identity in path.read_text(errors="replace")
    ]
    os.kill(min(processes), signal.SIGKILL)


def test_each_agent_gets_the_form_that_only_its_adapter_gives(demo: Kubectl) -> None:
    forms = story.forms(demo)

    assert forms["green"].startswith("VERDICT: ")
    assert forms["red"].startswith("PROBE: ")
    assert not forms["base"].startswith(("VERDICT", "PROBE"))


def test_an_agent_holds_nothing_that_the_model_server_accepts(demo: Kubectl) -> None:
    printed = demo("exec", "deployment/green", "--container=agent", "--", "python3", "-c", FROM_THE_AGENT)

    assert json.loads(printed) == {"bare": 401, "placeholder": 401, "every variable": [401], "token files": []}


def test_a_lookup_reaches_the_tool_and_a_forbidden_tool_does_not(demo: Kubectl) -> None:
    call = (
        "import json, sys, urllib.request as r\n"
        "def post(tool, arguments):\n"
        "    params = {'name': tool, 'arguments': arguments}\n"
        "    body = {'jsonrpc': '2.0', 'id': 1, 'method': 'tools/call', 'params': params}\n"
        "    headers = {'content-type': 'application/json', 'accept': 'application/json, text/event-stream'}\n"
        "    url = 'http://127.0.0.1:15001/mcp/norms'\n"
        "    return r.urlopen(r.Request(url, json.dumps(body).encode(), headers), timeout=30).read().decode()\n"
        "print(json.dumps([post('lookup_norm', {'program': 'sshd'}), post('delete_norm', {'program': 'sshd'})]))\n"
    )
    lookup, delete = json.loads(demo("exec", "deployment/green", "--container=agent", "--", "python3", "-c", call))

    assert '"error"' not in lookup
    assert json.loads(delete)["error"]["data"]["code"] == "tool_not_allowed"


def test_green_s_budget_ends_and_the_refused_call_reaches_nobody(demo: Kubectl) -> None:
    _, refusal = story.until_the_budget_ends(demo)

    assert refusal.engine_requests_after == refusal.engine_requests_before
    assert refusal.refused_calls == 1
    assert (refusal.restarts, refusal.alive) == (0, True)
    assert budget(demo, "green")["spent"] <= budget(demo, "green")["limit"]


def test_the_second_part_of_getting_started_prints_what_the_page_shows(demo: Kubectl, tmp_path: Path) -> None:
    page = (transcripts.ROOT / "docs/getting-started.md").read_text()
    told = transcripts.read(transcripts.sections(page)["## 2. Two agents on a Kubernetes"])
    config = tmp_path / "kubeconfig"
    config.write_text(Path(demo.kubeconfig).read_text())
    mine = Kubectl(config, demo.program)
    mine("config", "set-context", "--current", "--namespace=demo")
    path = f"{Path(demo.program).parent}:{os.environ['PATH']}"

    seen = transcripts.run(told, {**os.environ, "KUBECONFIG": str(config), "PATH": path}, seconds=600)

    assert transcripts.differences(told, seen) == []


def test_the_books_balance_with_what_the_engine_counted(demo: Kubectl) -> None:
    found = books.read(demo)

    assert found.metered.tokens_in > 0
    assert found.balanced, "\n".join(found.lines())


def test_a_killed_sidecar_comes_back_with_its_ledger(demo: Kubectl) -> None:
    before = budget(demo, "red")["spent"]
    pod = demo.pods(f"{books.AGENT_LABEL}=red")[-1]
    restarted = restarts(demo, "red")

    end_process_of(demo, pod, "agenttype-sidecar")
    until(lambda: restarts(demo, "red") > restarted, "the sidecar restarts")
    demo.wait("Ready", f"pod/{pod}", seconds=SECONDS)

    assert budget(demo, "red")["spent"] == before > 0


def test_a_raised_budget_reaches_the_running_pod_without_a_restart(demo: Kubectl) -> None:
    pod, restarted = demo.pods(f"{books.AGENT_LABEL}=green"), restarts(demo, "green")
    patch = [{"op": "replace", "path": "/spec/budget/limits/0/max", "value": "9000"}]

    demo("patch", "agenttype", "green", "--type=json", f"--patch={json.dumps(patch)}")
    until(lambda: budget(demo, "green")["limit"] == 9000, "the sidecar has the new limit")
    until(lambda: condition_of(demo, "agenttype", "green", "Programmed")["status"] == "True", "it is acknowledged")

    assert demo.pods(f"{books.AGENT_LABEL}=green") == pod
    assert restarts(demo, "green") == restarted


def test_a_wrong_digest_is_never_loaded_and_says_so(demo: Kubectl) -> None:
    [wrong] = [adapter for adapter in install.adapters() if adapter["metadata"]["name"] == "red"]
    wrong = {**wrong, "metadata": {"name": "forged", "namespace": "demo"}}
    wrong["spec"] = {**wrong["spec"], "source": {"path": "red", "digest": "sha256:" + "0" * 64}}

    demo("apply", "--server-side", "--filename=-", stdin=json.dumps(wrong))
    found = until(lambda: _false(demo, "loraadapter", "forged", "Loaded"), "the mismatch is reported")
    demo("delete", "loraadapter", "forged")

    assert found["reason"] == "DigestMismatch"
    demo.wait("Ready", "modelbackend/shared", seconds=SECONDS)
    assert story.ask(demo, "red", "gpt-4o", story.PROMPT).startswith("PROBE: ")


def _false(kubectl: Kubectl, what: str, name: str, kind: str) -> dict[str, Any] | None:
    found = condition_of(kubectl, what, name, kind)
    return found if found["status"] == "False" and found["reason"] == "DigestMismatch" else None


def test_restarting_the_operator_in_the_middle_changes_nothing_in_the_end(demo: Kubectl) -> None:
    operator = Kubectl(demo.kubeconfig, demo.program, "agenttype-system")
    agents = install.MANIFESTS / "agents.yaml"

    demo("delete", "agenttype", "red", "--wait=false")
    for step in ("replaced", "scaled", "restored"):
        operator("delete", "pod", "--selector=app.kubernetes.io/component=operator", "--wait=false")
        if step == "replaced":
            until(lambda: not demo.pods(f"{books.AGENT_LABEL}=red"), "red's pod is gone")
            # The limit that another story patched belongs to its patch until somebody insists.
            demo("apply", "--server-side", "--force-conflicts", f"--filename={agents}")
        if step == "scaled":
            demo("scale", "agenttype", "red", "--replicas=2")
        if step == "restored":
            demo("scale", "agenttype", "red", "--replicas=1")
    until(lambda: len(demo.pods(f"{books.AGENT_LABEL}=red")) == 1, "red has one pod")
    until(lambda: demo.get("agenttype", "red")["status"].get("replicas") == 1, "and its status says so")

    demo.wait("Ready", "agenttype/red", "agenttype/green", seconds=SECONDS)


def test_at_rest_the_operator_writes_nothing_but_its_lease(demo: Kubectl, audit: Path) -> None:
    demo.wait("Ready", "agenttype/red", "agenttype/green", "modelbackend/shared", seconds=SECONDS)
    until(lambda: _leads(demo), "a living operator leads")
    until(lambda: not _writes(audit, since=time.time() - 10), "the last work is done")
    began = time.time()

    time.sleep(REST_SECONDS)

    assert _writes(audit, since=began) == []


def _leads(demo: Kubectl) -> bool:
    """Whether the holder of the operator's Lease is the pod that runs."""
    operator = Kubectl(demo.kubeconfig, demo.program, "agenttype-system")
    holder = operator.get("lease", "agenttype-operator")["spec"]["holderIdentity"]
    return operator.pods("app.kubernetes.io/component=operator") == [holder]


def _writes(audit: Path, since: float) -> list[str]:
    """Writes of the operator since a moment, its Lease left out."""
    found = []
    for line in audit.read_text().splitlines():
        event = json.loads(line)
        user = event["user"]["username"]
        what = event.get("objectRef", {})
        mine = user == "system:serviceaccount:agenttype-system:agenttype-operator"
        if mine and event["verb"] in {"create", "update", "patch", "delete"} and what.get("resource") != "leases":
            moment = time.strptime(event["stageTimestamp"].split(".")[0], "%Y-%m-%dT%H:%M:%S")
            if calendar.timegm(moment) >= since:
                found.append(f"{event['verb']} {what.get('resource')}/{what.get('name')}")
    return found


def test_deleting_every_agent_leaves_no_child(demo: Kubectl) -> None:
    demo("delete", "agenttypes", "--all")
    kinds = "deployments,replicasets,pods,services,configmaps,serviceaccounts,networkpolicies"

    until(lambda: not demo.get(kinds, f"--selector={books.AGENT_LABEL}")["items"], "all children are gone")


def test_kubectl_explains_the_kinds(demo: Kubectl) -> None:
    assert "What the agent may spend" in demo("explain", "agenttype.spec.budget")


@pytest.mark.parametrize("column", ["READY", "MODEL", "ADAPTER", "BUDGET", "AGE"])
def test_kubectl_get_shows_what_matters(demo: Kubectl, column: str) -> None:
    demo.apply(install.MANIFESTS / "agents.yaml")

    assert column in demo("get", "agenttypes").splitlines()[0]
