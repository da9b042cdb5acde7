"""The embedded cluster itself: it works as a cluster does, and goes without a trace."""

import subprocess

import clusters
import machine
import pytest

# The base image is made by debootstrap on the first run of all.
pytestmark = pytest.mark.timeout(600)

PODS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: localhost/agenttype-base:1
        command: [python3, -m, http.server, "8080"]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
# A Service's name and rules follow its endpoints within seconds, not at once: whoever asks, asks again.
ASK = """
import time, urllib.request
due = time.monotonic() + 30
while True:
    try:
        print(urllib.request.urlopen("http://web.default.svc.cluster.local", timeout=9).status)
        break
    except OSError:
        if time.monotonic() > due:
            raise
        time.sleep(0.2)
"""
DOCKERFILE = """
ARG BASE=python:3.11-slim
FROM ${BASE}
COPY said.txt /said.txt
USER 10001
CMD ["python3", "-c", "print(open('/said.txt').read())"]
"""


@pytest.fixture
def folder(tmp_path):
    clusters.run("build", "--check")
    home = tmp_path / "cluster"
    yield home
    clusters.run("down", "--dir", str(home))


@pytest.fixture
def cluster(folder):
    clusters.run("up", "--dir", str(folder))
    clusters.run("image", "load", "base", "--dir", str(folder))
    return folder / "kubeconfig"


def run_the_pods(kubeconfig):
    clusters.kubectl(kubeconfig, "apply", "-f", "-", given=PODS)
    clusters.kubectl(kubeconfig, "wait", "--for=condition=Available", "deployment/web", "--timeout=90s")


def test_a_pod_reaches_another_by_the_name_of_its_service(cluster):
    run_the_pods(cluster)
    answer = clusters.said_by_pod(cluster, "asker", "localhost/agenttype-base:1", "python3", "-c", ASK)
    assert answer.strip() == "200"


def test_a_plain_dockerfile_becomes_a_pod(cluster, tmp_path):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "said.txt").write_text("as written")
    clusters.run("image", "build", "-t", "test-of-cluster:1", "-f", str(tmp_path / "Dockerfile"), str(tmp_path))
    clusters.run("image", "load", "test-of-cluster:1", "--dir", str(cluster.parent))
    said = clusters.said_by_pod(cluster, "said", "test-of-cluster:1")
    assert said.strip() == "as written"


def test_up_on_a_healthy_cluster_changes_nothing(cluster):
    before = (cluster.parent / "journal.jsonl").read_text()
    clusters.run("up", "--dir", str(cluster.parent))
    assert (cluster.parent / "journal.jsonl").read_text() == before


def test_a_second_cluster_is_refused_and_the_first_one_named(cluster, tmp_path):
    second = subprocess.run(
        [*clusters.COMMAND, "up", "--dir", str(tmp_path / "second")], capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert f"another full cluster is up in {cluster.parent}" in second.stderr
    assert not (tmp_path / "second").exists()


def test_down_leaves_nothing_of_a_cluster_that_ran_pods(folder):
    before = machine.snapshot()
    clusters.run("up", "--dir", str(folder))
    clusters.run("image", "load", "base", "--dir", str(folder))
    run_the_pods(folder / "kubeconfig")
    clusters.run("down", "--dir", str(folder))
    assert machine.snapshot() == before
    assert machine.processes_that_name(folder) == []
    assert not folder.exists()


@pytest.mark.parametrize("component", ["etcd", "kube-scheduler", "kubelet", "coredns"])
def test_down_leaves_nothing_of_an_up_that_was_killed_in_the_middle(folder, component):
    before = machine.snapshot()
    clusters.kill_up_once_it_started(component, folder)
    clusters.run("down", "--dir", str(folder))
    assert machine.snapshot() == before
    assert machine.processes_that_name(folder) == []
    assert not folder.exists()


def test_down_leaves_nothing_of_a_cluster_whose_processes_were_killed_under_its_pods(folder):
    before = machine.snapshot()
    clusters.run("up", "--dir", str(folder))
    clusters.run("image", "load", "base", "--dir", str(folder))
    run_the_pods(folder / "kubeconfig")
    clusters.kill_every_component(folder)
    clusters.run("down", "--dir", str(folder))
    assert machine.snapshot() == before
    assert machine.processes_that_name(folder) == []
    assert not folder.exists()
